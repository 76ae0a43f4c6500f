import Foundation
import JobGraph

/// What a coordinator has seen happen since it started, counted.
package struct JobTally: Sendable, Equatable {
  /// The way that artifacts take.
  package enum Route: String, Sendable, CaseIterable {
    case betweenWorkers
    case fromCoordinator
    case toCoordinator
  }

  private struct Attempt: Sendable, Equatable {
    let task: TaskID
    let worker: WorkerID
    let start: Date
  }

  /// Attempts that have ended.
  package private(set) var attempts: [TaskID.Kind: [AttemptOutcome: Int]] = [:]
  /// Attempts at tasks that had been given out before.
  package private(set) var retries: [TaskID.Kind: Int] = [:]
  /// Of attempts that were done, from giving them out to their result.
  package private(set) var seconds: [TaskID.Kind: Histogram] = [:]
  /// Sizes of artifacts that were sent for.
  package private(set) var bytes: [Route: Double] = [:]
  /// Workers that died or fell silent.
  package private(set) var workersLost = 0

  private var running: [Lease: Attempt] = [:]
  private var givenOut: Set<TaskID> = []

  package init() {}

  package mutating func started(
    _ task: TaskID, _ lease: Lease, on worker: WorkerID, inputs: [TaskInput], at time: Date = Date()
  ) {
    running[lease] = Attempt(task: task, worker: worker, start: time)
    if !givenOut.insert(task).inserted { retries[task.kind, default: 0] += 1 }
    for input in inputs {
      switch input.holder {
      case .coordinator: bytes[.fromCoordinator, default: 0] += Double(input.artifact.size)
      case .worker(worker): break
      case .worker: bytes[.betweenWorkers, default: 0] += Double(input.artifact.size)
      }
    }
  }

  /// An attempt has ended; what is said of one that had ended already means nothing.
  ///
  /// - Returns: whether it was running.
  @discardableResult
  package mutating func ended(_ lease: Lease, _ outcome: AttemptOutcome, at time: Date = Date()) -> Bool {
    guard let attempt = running.removeValue(forKey: lease) else { return false }
    attempts[attempt.task.kind, default: [:]][outcome, default: 0] += 1
    if outcome == .done {
      seconds[attempt.task.kind, default: .taskSeconds].observe(time.timeIntervalSince(attempt.start))
    }
    return true
  }

  /// A worker is no longer part of the job, and its attempts with it.
  package mutating func left(_ worker: WorkerID, isLost: Bool) {
    if isLost { workersLost += 1 }
    for (lease, attempt) in running where attempt.worker == worker { ended(lease, .lost) }
  }

  /// A result has come home.
  package mutating func fetched(_ artifacts: [ArtifactRef]) {
    bytes[.toCoordinator, default: 0] += artifacts.reduce(0) { $0 + Double($1.size) }
  }
}
