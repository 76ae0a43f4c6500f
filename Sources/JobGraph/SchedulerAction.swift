/// What the coordinator's shell is to do, in order.
public enum SchedulerAction: Sendable, Equatable {
  case assign(WorkerID, TaskID, Lease, inputs: [TaskInput])
  /// Fetch the outputs from the worker, make them durable, then report ``SchedulerEvent/stored(_:_:)``.
  case store(TaskID, Lease, WorkerID, outputs: [ArtifactRef])
  /// Tell the worker that its result is safe.
  case acknowledge(WorkerID, TaskID, Lease)
  /// Tell the worker to give up a task whose lease is over.
  case cancel(WorkerID, TaskID, Lease)
  /// Tell the worker that nobody will ask for these any more.
  case release(WorkerID, [ArtifactRef])
  /// The worker is no longer part of the job until it says again that it is ready.
  case dismiss(WorkerID, reason: String)
  /// What the worker holds cannot be counted on any more: whoever fetches from it gives up, until an assignment names it
  /// again.
  case forsake(WorkerID)
  /// The task is given out no more: too many workers were lost with it in hand. What does not need it goes on.
  case quarantine(QuarantinedTask)
  /// One of those workers is back, and the task with it.
  case readmit(TaskID)
  /// The worker is given nothing for a while.
  case setAside(WorkerID, for: Duration, because: SetAsideReason)
  /// Merge the fits of a block into one artifact, then report ``SchedulerEvent/merged(block:_:)``.
  case merge(block: Int)
  /// Every block is verified, or every window evaluated: make the job's output, then report ``SchedulerEvent/assembled``.
  case assemble
  /// The job is done.
  case finish
  /// The job cannot go on; what is stored stays.
  case stop(StopReason)
}

/// Why a job ended without output.
public enum StopReason: Sendable, Equatable {
  /// The model, tokens or options are at fault.
  case badInput(TaskID, String)
  /// A task failed on every attempt.
  case attemptsExhausted(TaskID, String)
  /// All is done but these and what needs them.
  case quarantined([QuarantinedTask])
}

/// Why a worker is given nothing for a while.
public enum SetAsideReason: Sendable, Equatable {
  /// Attempts at these failed on it in a row, or it did not take them; a task may be there more than once.
  case failures(of: [TaskID])
  /// What it has made again for this task could not be fetched from it again.
  case outOfReach(of: TaskID)
}
