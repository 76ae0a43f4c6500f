import CZeroMQ
import Logging
import Synchronization

/// A libzmq context: its I/O threads and everything that its sockets share. One a process.
///
/// "A ØMQ context is thread safe and may be shared among as many application threads as necessary" (zmq_ctx_new). Each
/// socket holds its context, so that it is terminated after its last socket was closed and never blocks on one.
public final class ZMQContext: Sendable {
  nonisolated(unsafe) let handle: UnsafeMutableRawPointer
  private let isTerminated = Atomic<Bool>(false)
  private let refused: @Sendable (String) -> Void
  private let guarding = Mutex<ZAPHandler?>(nil)

  /// I/O threads: the first for control messages, the second for artifacts, so that no heartbeat waits behind a chunk.
  static let threadCount: Int32 = 2
  /// The most sockets at once: one for each holder that artifacts are fetched from, its monitor, and a few others.
  static let socketLimit: Int32 = 4096

  /// - Parameter refused: is given a line for the log, from any thread, when somebody without the right keys was turned
  ///   away: once for an address and a reason, and then at most every hour.
  /// - Throws: ``MessagingError`` `.socket`.
  public init(
    refused: @escaping @Sendable (String) -> Void = { Logger(label: "crvq-messaging").warning("\($0)") }
  ) throws(MessagingError) {
    guard let handle = zmq_ctx_new() else { throw .last("create context", "libzmq") }
    self.handle = handle
    self.refused = refused
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
    guarding.withLock { $0.take() }?.stop()
    // EINTR is the one error that leaves the context as it is.
    while zmq_ctx_term(handle) != 0, crvq_zmq_errno() == EINTR {}
  }

  /// Who judges connections to sockets with keys; started with the first of them.
  ///
  /// - Throws: ``MessagingError``, `.otherKeys` where the context's sockets already have others.
  func zapHandler(_ credentials: Credentials) throws(MessagingError) -> ZAPHandler {
    // The lock rethrows untyped.
    let result = guarding.withLock { current -> Result<ZAPHandler, MessagingError> in
      if let current {
        return current.credentials == credentials ? .success(current) : .failure(.otherKeys)
      }
      do throws(MessagingError) {
        let new = try ZAPHandler(context: handle, credentials: credentials, refused: refused)
        current = new
        return .success(new)
      } catch { return .failure(error) }
    }
    return try result.get()
  }
}
