/// A worker of the job.
struct WorkerRecord: Sendable {
  let slots: Int
  var lastHeard: Duration
  /// Everything the worker may be busy with, tasks under a dead lease included: they still fill a slot.
  var running: [Lease: TaskID] = [:]
  /// When each was given out.
  var givenOut: [Lease: Duration] = [:]

  /// The tasks of attempts that failed on it since a result has come from it, or what it made for others.
  var failedTasks: [TaskID] = []
  /// Given nothing before this time, while there are others.
  var setAsideUntil = Duration.zero
  /// How often it was set aside since then.
  var timesSetAside = 0
}
