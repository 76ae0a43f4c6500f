extension TaskID {
  /// Where a task stands, for counting and display.
  public enum Stage: String, Sendable, CaseIterable {
    /// Not given out. A collect or recollect may never be, if nobody waits any more for what it makes.
    case pending
    case running
    /// Finished by a worker, being made durable.
    case storing
    case done
    /// Given out no more.
    case quarantined
  }
}

extension Scheduler {
  /// The tasks of each kind that the job has, by stage; every stage is there.
  public var taskCounts: [TaskID.Kind: [TaskID.Stage: Int]] {
    let none = Dictionary(uniqueKeysWithValues: TaskID.Stage.allCases.map { ($0, 0) })
    return tasks.reduce(into: [:]) { counts, task in
      counts[task.key.kind, default: none][task.value.stage, default: 0] += 1
    }
  }
}

extension TaskRecord {
  fileprivate var stage: TaskID.Stage {
    switch state {
    case .pending: .pending
    case .running: .running
    case .storing: .storing
    case .done: .done
    case .quarantined: .quarantined
    }
  }
}
