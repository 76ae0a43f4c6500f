/// A worker of the job.
struct WorkerRecord: Sendable {
  let slots: Int
  var lastHeard: Duration
  /// Everything the worker may be busy with, tasks under a dead lease included: they still fill a slot.
  var running: [Lease: TaskID] = [:]
  /// When each was given out.
  var givenOut: [Lease: Duration] = [:]
  /// When it was last seen with a slot free, or at a task under a living lease.
  var lastUseful: Duration
  /// Whether its last task took much longer than is usual: what one worker alone can have is better another's.
  var isSlow = false

  /// The tasks of attempts that failed on it, or that it did not take, since a result has come from it, or what it made for
  /// others.
  var failedTasks: [TaskID] = []
  /// Given nothing before this time, while there are others.
  var setAsideUntil = Duration.zero
  /// How often it was set aside since then.
  var timesSetAside = 0
  /// How often it did not take a task since then.
  var declines = 0
  /// Given nothing before this time, whether or not there are others: it has just turned a task down.
  var restsUntil = Duration.zero

  init(slots: Int, now: Duration) {
    self.slots = slots
    lastHeard = now
    lastUseful = now
  }
}
