import Synchronization

/// The string between a running task and the process around it: progress goes out, a cancellation comes in.
package final class TaskControl: Sendable {
  /// That of the task which this thread runs: for what is shared by tasks, and may take long for the one that comes first.
  @TaskLocal package static var current: TaskControl?

  private let isCancelled = Atomic<Bool>(false)
  /// A task that gets on says so at least this often: far below any lease.
  private static let pulsePause = Duration.seconds(5)

  private let report: @Sendable (_ note: String) -> Void
  private let last = Mutex<(note: String, time: ContinuousClock.Instant)>(("", .now))

  package init(report: @escaping @Sendable (_ note: String) -> Void) { self.report = report }

  /// Makes the next ``progress(_:)`` throw.
  package func cancel() { isCancelled.store(true, ordering: .relaxed) }

  var wasCancelled: Bool { isCancelled.load(ordering: .relaxed) }

  /// Renews the lease.
  ///
  /// - Parameter note: what the task is at, for people; as before if nil.
  /// - Throws: ``TaskError/cancelled`` if the task is no longer wanted.
  package func progress(_ note: String? = nil) throws {
    if wasCancelled { throw TaskError.cancelled }
    say(note ?? last.withLock { $0.note })
  }

  /// Renews the lease between two steps that are worth a word, which may be far apart: a product of the largest matrices takes
  /// minutes. For the thread that computes, as often as it likes.
  func pulse() {
    let (note, time) = last.withLock { $0 }
    if !wasCancelled, ContinuousClock.now - time > Self.pulsePause { say(note) }
  }

  /// Renews the lease while the task waits for something that is no work of its own.
  ///
  /// - Throws: ``TaskError/cancelled`` if the task is no longer wanted.
  func goOn() throws {
    if wasCancelled { throw TaskError.cancelled }
    pulse()
  }

  private func say(_ note: String) {
    last.withLock { $0 = (note, .now) }
    report(note)
  }
}
