/// Everything that can happen to a job, as the scheduler sees it.
public enum SchedulerEvent: Sendable, Equatable {
  /// A worker is ready for work.
  case joined(WorkerID, slots: Int, Inventory = Inventory())
  /// A worker's heartbeat, with what it holds: tasks in hand and results not yet acknowledged.
  case heard(WorkerID, holding: [Lease: TaskID])
  /// A worker said goodbye.
  case left(WorkerID)
  /// A worker cannot be reached any more, or its process ended.
  case lost(WorkerID)
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
  /// The output directory is complete under its final name.
  case assembled
  /// Time has passed.
  case tick
}

/// Why a worker gave a task up.
public enum TaskFailure: Sendable, Equatable {
  /// An input was not where it should be.
  case missingArtifact(digest: String)
  /// The input is at fault (a NaN in a weight, a file that changed): no other worker can do better.
  case badInput(String)
  /// The worker was asked to stop.
  case cancelled
  /// Anything else: another attempt may succeed.
  case other(String)
}
