import Synchronization

/// The tasks that heartbeats name.
package final class HeldTasks: Sendable {
  private struct Held {
    let running: WireRunningTask
    /// When progress of it was sent last.
    var sent: ContinuousClock.Instant?
  }

  /// The shortest pause between two messages about a task.
  private static let pauseMin = Duration.milliseconds(100)
  /// Progress of all tasks together: the coordinator drops what is beyond its budget, whatever it is, so most of that is left
  /// for heartbeats and results.
  private static let progressPerSecond = RequestBudgets.control / 4

  private let tasks = Mutex<[UInt64: Held]>([:])

  package init() {}

  package func hold(_ task: WireTaskID, _ lease: UInt64) {
    var running = WireRunningTask()
    running.task = task
    running.lease = lease
    tasks.withLock { $0[lease] = Held(running: running) }
  }

  package func letGo(_ lease: UInt64) { tasks.withLock { $0[lease] = nil } }

  /// Whether progress of a task is worth a message now, which then counts as sent.
  package func isDue(_ lease: UInt64, at now: ContinuousClock.Instant) -> Bool {
    tasks.withLock { tasks in
      // What is not held is on its way out; the coordinator says so.
      guard let task = tasks[lease] else { return true }
      if let last = task.sent, now - last < Self.pause(held: tasks.count) { return false }
      tasks[lease]?.sent = now
      return true
    }
  }

  /// Two seconds for as many tasks as a worker can have: far below any lease.
  private static func pause(held count: Int) -> Duration { max(pauseMin, Duration.seconds(count) / progressPerSecond) }

  var heartbeat: WireHeartbeat {
    var heartbeat = WireHeartbeat()
    heartbeat.running = tasks.withLock { $0.values.map(\.running).sorted { $0.lease < $1.lease } }
    heartbeat.residentBytes = ProcessMemory.resident
    return heartbeat
  }
}
