import CZeroMQ
import Synchronization

/// A libzmq context: its I/O threads and everything that its sockets share. One a process.
///
/// "A ØMQ context is thread safe and may be shared among as many application threads as necessary" (zmq_ctx_new). Each
/// socket holds its context, so that it is terminated after its last socket was closed and never blocks on one.
public final class ZMQContext: Sendable {
  nonisolated(unsafe) let handle: UnsafeMutableRawPointer
  private let isTerminated = Atomic<Bool>(false)

  /// I/O threads: the first for control messages, the second for artifacts, so that no heartbeat waits behind a chunk.
  static let threadCount: Int32 = 2
  /// The most sockets at once: one for each holder that artifacts are fetched from, its monitor, and a few others.
  static let socketLimit: Int32 = 4096

  /// - Throws: ``MessagingError`` `.socket`.
  public init() throws(MessagingError) {
    guard let handle = zmq_ctx_new() else { throw .last("create context", "libzmq") }
    self.handle = handle
    for (option, value) in [(ZMQ_IO_THREADS, Self.threadCount), (ZMQ_MAX_SOCKETS, Self.socketLimit)]
    where zmq_ctx_set(handle, option, value) != 0 {
      throw .last("set context option \(option)", "libzmq")
    }
  }

  deinit { terminate() }

  /// Waits until closed sockets have sent what was queued, each for as long as its limits allow, and ends the context. To be
  /// called before the process exits, which loses what is queued; no socket may be open or made any more.
  public func terminate() {
    if isTerminated.exchange(true, ordering: .acquiringAndReleasing) { return }
    // EINTR is the one error that leaves the context as it is.
    while zmq_ctx_term(handle) != 0, crvq_zmq_errno() == EINTR {}
  }
}
