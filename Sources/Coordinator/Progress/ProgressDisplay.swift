import Foundation
import JobGraph

/// What a display shows: a moment of a job.
public struct JobMoment: Sendable {
  public var progress: JobProgress
  /// What running tasks are at, as their workers said last: "round 3".
  public var remarks: [WorkerID: [TaskID: String]]
  /// Names of workers, by id.
  public var workerNames: [WorkerID: String]
  /// Seconds since this coordinator started.
  public var elapsed: Double
  public var pace: JobPace

  package init(
    progress: JobProgress, remarks: [WorkerID: [TaskID: String]], workerNames: [WorkerID: String], elapsed: Double,
    pace: JobPace
  ) {
    self.progress = progress
    self.remarks = remarks
    self.workerNames = workerNames
    self.elapsed = elapsed
    self.pace = pace
  }
}

/// Shows a job to a person: one live screen on a terminal, plain lines elsewhere. Writes to standard error.
public protocol ProgressDisplay: AnyObject, Sendable {
  /// Called a few times a second.
  func show(_ moment: JobMoment)
  /// A line that stays: an event, a warning, an error.
  func note(_ line: String)
  /// Leaves the screen in order.
  func close()
}

extension JobMoment {
  var rate: String {
    let left = pace.remainingSeconds.map { "\($0.asTime) left" } ?? "time left unknown"
    return "\(pace.tasksPerMinute.fixed(0)) tasks/min  \(elapsed.asTime) so far, \(left)"
  }
}
