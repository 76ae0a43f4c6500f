import Synchronization

/// The latest snapshot of a job, from the thread that runs it to those that show it.
package final class SnapshotBoard: Sendable {
  private let posted = Mutex<(JobSnapshot, ContinuousClock.Instant)?>(nil)

  package init() {}

  /// With the time at which it was posted; nil before the first.
  package var latest: (snapshot: JobSnapshot, time: ContinuousClock.Instant)? { posted.withLock { $0 } }

  package func post(_ snapshot: JobSnapshot) { posted.withLock { $0 = (snapshot, .now) } }
}
