import CZeroMQ
import Foundation

/// Wakes a thread that waits in zmq_poll: an eventfd that it polls beside its sockets.
final class Wakeup: Sendable {
  let descriptor: Int32

  init() throws(MessagingError) {
    descriptor = crvq_eventfd()
    if descriptor < 0 { throw .socket(operation: "create eventfd", endpoint: "wake-up", errno: errno) }
  }

  deinit { close(descriptor) }

  /// Makes the descriptor readable. From any thread; many signals are one.
  func signal() {
    var one: UInt64 = 1
    // Fails only when the counter is full, and then the descriptor is readable already.
    _ = write(descriptor, &one, 8)
  }

  /// Makes the descriptor quiet again. From the polling thread, before it looks at what others have posted.
  func drain() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
