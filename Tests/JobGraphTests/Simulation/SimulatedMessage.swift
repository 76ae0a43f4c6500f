import JobGraph

/// One end of a connection.
enum Party: Hashable {
  case coordinator
  case worker(WorkerID)
}

/// The control protocol, as far as decisions depend on it.
enum SimulatedMessage {
  // Worker to coordinator.
  case ready(slots: Int)
  case heartbeat([Lease: TaskID])
  case progress(TaskID, Lease)
  case done(TaskID, Lease, [ArtifactRef])
  case failed(TaskID, Lease, TaskFailure)
  case goodbye
  /// Of the job with this number; the simulated one is 0.
  case inventory(Inventory, job: Int)

  // Coordinator to worker.
  case welcome
  case introduceYourself
  case pulse
  case assign(TaskID, Lease, [TaskInput])
  case cancel(TaskID, Lease)
  case release([ArtifactRef])
  case resultStored(Lease)
  case holderLost(WorkerID)
  case shutdown
}
