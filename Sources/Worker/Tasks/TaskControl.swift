import Synchronization

/// The string between a running task and the process around it: progress goes out, a cancellation comes in.
package final class TaskControl: Sendable {
  private let isCancelled = Atomic<Bool>(false)
  private let report: @Sendable (_ fraction: Double, _ note: String) -> Void

  package init(report: @escaping @Sendable (_ fraction: Double, _ note: String) -> Void) { self.report = report }

  /// Makes the next ``progress(_:_:)`` throw.
  package func cancel() { isCancelled.store(true, ordering: .relaxed) }

  var wasCancelled: Bool { isCancelled.load(ordering: .relaxed) }

  /// Renews the lease.
  ///
  /// - Throws: ``TaskError/cancelled`` if the task is no longer wanted.
  package func progress(_ fraction: Double, _ note: String = "") throws {
    if wasCancelled { throw TaskError.cancelled }
    report(min(max(fraction, 0), 1), note)
  }
}
