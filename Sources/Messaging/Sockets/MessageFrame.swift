import CZeroMQ
import Foundation

/// One frame of a message, in the buffer in which it arrives or leaves.
///
/// Owns its `zmq_msg_t`. May be handed to another thread: "Applications MUST NOT access message data directly" but through
/// zmq_msg_data, and a message is not tied to the thread that received it; only one thread at a time uses it here.
package final class MessageFrame: @unchecked Sendable {
  let message: UnsafeMutablePointer<zmq_msg_t>

  /// An empty frame, to receive into.
  package init() {
    message = .allocate(capacity: 1)
    zmq_msg_init(message)  // cannot fail: it only writes the struct
  }

  /// A frame of `count` bytes of any value, to be filled.
  ///
  /// - Parameter released: called once, on any thread, when nobody has the bytes any more: neither this object nor, once they
  ///   are sent, libzmq.
  /// - Throws: ``MessagingError`` `.socket` if there is no memory; `released` is then not called.
  package init(count: Int, released: @escaping @Sendable () -> Void) throws(MessagingError) {
    message = .allocate(capacity: 1)
    let callback = Unmanaged.passRetained(Callback(released))
    let bytes = malloc(max(count, 1))
    if let bytes, zmq_msg_init_data(message, bytes, count, releaseFrame, callback.toOpaque()) == 0 { return }
    let error = MessagingError.last("allocate a frame of \(count) bytes", "libzmq")
    free(bytes)
    callback.release()
    zmq_msg_init(message)
    throw error
  }

  deinit {
    zmq_msg_close(message)
    message.deallocate()
  }

  package var count: Int { zmq_msg_size(message) }

  var hasMore: Bool { zmq_msg_more(message) != 0 }

  /// The address of the peer that sent it, as its socket's connection had it; nil for transports without.
  var peerAddress: String? { zmq_msg_gets(message, "Peer-Address").map { String(cString: $0) } }

  /// The key that its sender has proved to have; nil on sockets without keys.
  var peerKey: PublicKey? { zmq_msg_gets(message, "User-Id").flatMap { PublicKey(z85: String(cString: $0)) } }

  package var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

  package func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(start: zmq_msg_data(message), count: zmq_msg_size(message)))
  }

  package func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeMutableRawBufferPointer(start: zmq_msg_data(message), count: zmq_msg_size(message)))
  }
}

/// What libzmq keeps beside the bytes of a frame until it lets go of them.
private final class Callback: Sendable {
  let call: @Sendable () -> Void

  init(_ call: @escaping @Sendable () -> Void) { self.call = call }
}

/// Called by libzmq on the thread that drops the last reference to a frame: one of its own, or that which uses the socket.
private func releaseFrame(_ bytes: UnsafeMutableRawPointer?, _ callback: UnsafeMutableRawPointer?) {
  free(bytes)
  if let callback { Unmanaged<Callback>.fromOpaque(callback).takeRetainedValue().call() }
}
