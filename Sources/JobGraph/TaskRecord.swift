/// Where a task stands.
struct TaskRecord: Sendable {
  enum State: Sendable, Equatable {
    /// Not given out. Whether it can be, and whether it has to be, follows from the other tasks.
    case pending
    case running(Lease, WorkerID, deadline: Duration)
    /// Finished by the worker, being made durable by the coordinator.
    case storing(Lease, WorkerID)
    case done
  }

  var state = State.pending
  /// The last worker that had it.
  var worker: WorkerID?
  /// What it made and `worker` still holds. Results in the coordinator's store are not listed.
  var outputs: [ArtifactRef] = []
  /// Attempts that the worker gave up, or was lost in.
  var failures = 0
  /// Not given out again before this time.
  var notBefore = Duration.zero

  var isPending: Bool { state == .pending }
  var isDone: Bool { state == .done }
  var isRunning: Bool { if case .running = state { true } else { false } }

  func output(named name: String) -> ArtifactRef? { outputs.first { $0.name == name } }
}

/// A worker of the job.
struct WorkerRecord: Sendable {
  let slots: Int
  var lastHeard: Duration
  /// Everything the worker may be busy with, tasks under a dead lease included: they still fill a slot.
  var running: [Lease: TaskID] = [:]
  /// When each was given out.
  var givenOut: [Lease: Duration] = [:]

  var hasFreeSlot: Bool { running.count < slots }
}
