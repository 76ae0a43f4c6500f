import Foundation

/// A few threads that do what must not hold up the coordinator's loop: fetch, write, merge. Work is done in the order given.
final class BackgroundThreads: @unchecked Sendable {
  // `queue` and `hasClosed` are guarded by `condition`.
  private let condition = NSCondition()
  private var queue: [@Sendable () -> Void] = []
  private var hasClosed = false
  private let finished = DispatchGroup()

  init(count: Int, name: String) {
    for index in 1...count {
      finished.enter()
      let thread = Thread { [self] in
        serve()
        finished.leave()
      }
      thread.name = "\(name)-\(index)"
      thread.start()
    }
  }

  func submit(_ work: @escaping @Sendable () -> Void) {
    condition.lock()
    queue.append(work)
    condition.signal()
    condition.unlock()
  }

  /// Whether it is closed. Work that takes long looks now and then, and ends early.
  var isClosed: Bool {
    condition.lock()
    defer { condition.unlock() }
    return hasClosed
  }

  /// Lets what has begun come to its end, drops the rest.
  ///
  /// - Parameter hurry: makes work end that has not after `patience`.
  func close(patience: Duration, hurry: () -> Void) {
    condition.lock()
    hasClosed = true
    queue = []
    condition.broadcast()
    condition.unlock()
    if finished.wait(timeout: .now() + patience / .seconds(1)) == .timedOut {
      hurry()
      finished.wait()
    }
  }

  private func serve() {
    while let work = next() { work() }
  }

  private func next() -> (@Sendable () -> Void)? {
    condition.lock()
    defer { condition.unlock() }
    while queue.isEmpty && !hasClosed { condition.wait() }
    return queue.isEmpty ? nil : queue.removeFirst()
  }
}
