import CZeroMQ
import Foundation

/// A thread that owns sockets: it makes them, polls them and closes them.
final class SocketThread: Sendable {
  let wakeup: Wakeup
  private let hasEnded = DispatchSemaphore(value: 0)

  init() throws(MessagingError) { wakeup = try Wakeup() }

  /// Starts the thread with `body`, which makes the sockets, calls its argument once with what came of it, and then runs
  /// until it is told to stop.
  ///
  /// - Returns: the endpoint that `body` reports.
  /// - Throws: the error that `body` reports.
  func start(
    _ name: String,
    _ body: @escaping @Sendable (_ report: (Result<String, MessagingError>) -> Void) -> Void
  ) throws(MessagingError) -> String {
    let report = WaitQueue<Result<String, MessagingError>>(limit: 1)
    let thread = Thread { [hasEnded] in
      body { report.append($0) }
      hasEnded.signal()
    }
    thread.name = name
    thread.start()
    guard let result = report.take(until: nil) else { throw .closed }
    return try result.get()
  }

  /// Waits until the thread has closed its sockets. Once.
  func join() { hasEnded.wait() }

  /// Waits until a socket is ready for what is asked of it, the thread is woken, or `deadline` has come.
  ///
  /// - Returns: for each socket, what it is ready for.
  func poll(_ sockets: [(socket: ZMQSocket, events: Int32)], until deadline: ContinuousClock.Instant?) -> [Int32] {
    var items = [zmq_pollitem_t(socket: nil, fd: wakeup.descriptor, events: Int16(ZMQ_POLLIN), revents: 0)]
    items += sockets.map { zmq_pollitem_t(socket: $0.socket.handle, fd: 0, events: Int16($0.events), revents: 0) }
    // A signal may end the wait early; the caller's loop then finds nothing to do and comes back.
    zmq_poll(&items, Int32(items.count), Self.milliseconds(until: deadline))
    if items[0].revents != 0 { wakeup.drain() }
    return items.dropFirst().map { Int32($0.revents) }
  }

  /// Rounded up, so that the deadline has come when the wait is over.
  private static func milliseconds(until deadline: ContinuousClock.Instant?) -> Int {
    guard let deadline else { return -1 }
    let (seconds, attoseconds) = min(max(deadline - .now, .zero), .seconds(3600)).components
    return Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
