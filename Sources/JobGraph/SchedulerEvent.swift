/// Everything that can happen to a job, as the scheduler sees it.
public enum SchedulerEvent: Sendable, Equatable {
  /// A worker is ready for work; `memory` is what its tasks may use, in bytes, 0 if it does not say.
  case joined(WorkerID, slots: Int, memory: Int = 0, Inventory = Inventory())
  /// A worker's heartbeat, with what it holds: tasks in hand and results not yet acknowledged.
  case heard(WorkerID, holding: [Lease: TaskID])
  /// A worker of the job lists the passes that its cache has, on a connection made anew.
  case listed(WorkerID, passes: [TaskID: [ArtifactRef]])
  /// A worker said goodbye.
  case left(WorkerID)
  /// A worker cannot be reached any more, or its process ended.
  case lost(WorkerID)
  /// The kernel, or whoever started it, has ended a worker for want of memory; it may be lost already.
  case outOfMemory(WorkerID)
  /// A worker is getting on with a task.
  case progressed(WorkerID, TaskID, Lease)
  /// A worker finished a task and holds what it made.
  case finished(WorkerID, TaskID, Lease, outputs: [ArtifactRef])
  /// A worker gave a task up.
  case failed(WorkerID, TaskID, Lease, TaskFailure)
  /// The result named by ``SchedulerAction/store(_:_:_:outputs:)`` is durable.
  case stored(TaskID, Lease)
  /// It could not be fetched from the worker.
  case storeFailed(TaskID, Lease, reason: String)
  /// The block's fits lie merged in the coordinator's store.
  case merged(block: Int, ArtifactRef)
  /// The job's output is complete.
  case assembled
  /// Time has passed.
  case tick
  /// The coordinator itself stood still for so long, so that it cannot have heard what others said meanwhile.
  case stoodStill(Duration)
}

/// Why a worker gave a task up.
public enum TaskFailure: Sendable, Equatable {
  /// An input was not where it should be.
  case missingArtifact(digest: String)
  /// The input is at fault (a NaN in a weight, a file that changed): no other worker can do better.
  case badInput(String)
  /// The worker was asked to give it up; or, if it was not, it takes no more tasks.
  case cancelled
  /// Anything else: another attempt may succeed.
  case other(String)
}
