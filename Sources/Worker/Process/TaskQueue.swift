import Foundation
import Messaging

/// Tasks given to this worker, from their assignment until their result is acknowledged.
package final class TaskQueue: @unchecked Sendable {
  // All below are guarded by `condition`.
  private let condition = NSCondition()
  private var waiting: [WireAssign] = []
  private var controls: [UInt64: TaskControl] = [:]
  private var results: [UInt64: WireTaskDone] = [:]
  private var isClosed = false

  package init() {}

  package func add(_ assign: WireAssign) {
    condition.lock()
    waiting.append(assign)
    condition.signal()
    condition.unlock()
  }

  /// Waits for a task.
  ///
  /// - Returns: nil when the queue is closed.
  package func next(control: (WireAssign) -> TaskControl) -> (WireAssign, TaskControl)? {
    condition.lock()
    defer { condition.unlock() }
    while waiting.isEmpty && !isClosed { condition.wait() }
    if isClosed { return nil }
    let assign = waiting.removeFirst()
    let control = control(assign)
    controls[assign.lease] = control
    return (assign, control)
  }

  /// The task is no longer running; its result, if any, is kept until ``acknowledge(_:)`` or ``cancel(_:)``.
  package func finish(_ lease: UInt64, _ result: WireTaskDone?) {
    condition.lock()
    // Nobody would acknowledge the result of a task that was cancelled.
    let isWanted = controls.removeValue(forKey: lease)?.wasCancelled != true
    results[lease] = isWanted ? result : nil
    condition.unlock()
  }

  /// Where a task was when it was cancelled.
  package enum Place: Sendable {
    /// Nobody else will report on it.
    case waiting
    /// It fills its slot until it notices, and is reported on then.
    case running
    /// It is over, or was never here.
    case nowhere
  }

  package func cancel(_ lease: UInt64) -> Place {
    condition.lock()
    defer { condition.unlock() }
    results[lease] = nil
    if let control = controls[lease] {
      control.cancel()
      return .running
    }
    let count = waiting.count
    waiting.removeAll { $0.lease == lease }
    return waiting.count < count ? .waiting : .nowhere
  }

  /// Drops all that is of a job that is served no more: what waits, what runs as soon as it notices, and results that nobody
  /// will acknowledge.
  ///
  /// - Returns: The leases of what is over at once.
  package func drop() -> [UInt64] {
    condition.lock()
    defer { condition.unlock() }
    let leases = waiting.map(\.lease) + results.keys
    waiting = []
    results = [:]
    for control in controls.values { control.cancel() }
    return leases
  }

  package func acknowledge(_ lease: UInt64) {
    condition.lock()
    results[lease] = nil
    condition.unlock()
  }

  /// Results not yet acknowledged, in the order of their leases.
  package var unacknowledged: [WireTaskDone] {
    condition.lock()
    defer { condition.unlock() }
    return results.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Whether nothing waits, runs, or has a result that is not acknowledged.
  package var isIdle: Bool {
    condition.lock()
    defer { condition.unlock() }
    return waiting.isEmpty && controls.isEmpty && results.isEmpty
  }

  /// Drops what waits, cancels what runs, lets the slots end.
  package func close() {
    condition.lock()
    isClosed = true
    waiting = []
    for control in controls.values { control.cancel() }
    condition.broadcast()
    condition.unlock()
  }
}
