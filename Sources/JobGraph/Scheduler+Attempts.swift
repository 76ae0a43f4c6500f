/// How an attempt came to nothing.
enum AttemptEnd: Sendable, Equatable {
  /// Nobody is to blame: cancelled, never arrived, or wanting what a lost worker held.
  case returned
  /// The task, or the worker, may be at fault.
  case failed
  /// The worker was lost with the task in hand.
  case death
}

// What comes of attempts without a result.
extension Scheduler {
  /// Takes an attempt off its task. Without another one the task is given out again after a pause, or not any more if too
  /// much is wrong with it.
  mutating func giveUp(
    _ task: TaskID, _ lease: Lease, of worker: WorkerID, _ end: AttemptEnd, because reason: String,
    _ actions: inout [SchedulerAction]
  ) {
    update(task) {
      $0.remove(lease)
      switch end {
      case .returned: break
      case .failed:
        $0.failures += 1
        $0.failedOn.insert(worker)
      case .death: $0.deaths.append(worker)
      }
    }
    if end == .failed { count(failureOf: task, on: worker, &actions) }
    let record = record(task)
    guard record.isPending else { return }
    if let shard = task.shard, shardOwners[shard] == worker { shardOwners[shard] = nil }
    if record.deaths.count >= policy.deathsPerTask { return quarantine(task, &actions) }
    if record.failures >= policy.attemptsPerTask { return stop(.attemptsExhausted(task, reason), &actions) }
    let notBefore = now + policy.pause(before: task, after: record.failures + record.deaths.count)
    update(task) { $0.notBefore = notBefore }
  }

  /// A worker on which task after task fails is given nothing for a while. It keeps what it holds, but not its shards.
  private mutating func count(failureOf task: TaskID, on worker: WorkerID, _ actions: inout [SchedulerAction]) {
    guard var record = workers[worker] else { return }
    record.failedTasks.insert(task)
    workers[worker] = record
    if record.failedTasks.count >= policy.failedTasksPerWorker {
      setAside(worker, because: .failures(of: record.failedTasks.sorted()), &actions)
    }
  }

  /// A worker that is set aside already stays so for no longer.
  mutating func setAside(_ worker: WorkerID, because reason: SetAsideReason, _ actions: inout [SchedulerAction]) {
    guard var record = workers[worker], record.setAsideUntil <= now else { return }
    let pause = policy.setAside(times: record.timesSetAside)
    actions.append(.setAside(worker, for: pause, because: reason))
    record.setAsideUntil = now + pause
    record.timesSetAside += 1
    record.failedTasks = []
    workers[worker] = record
    for (shard, owner) in shardOwners where owner == worker { shardOwners[shard] = nil }
  }

  /// A result has come from it, or what it made for others has. What lies there still may be out of reach.
  mutating func count(successOn worker: WorkerID) {
    workers[worker]?.failedTasks = []
    workers[worker]?.timesSetAside = 0
  }

  /// Workers that failed too often and are given nothing for now. If there are no others, they are as good as any.
  var workersSetAside: Set<WorkerID> {
    let aside = workers.filter { $0.value.setAsideUntil > now }.keys
    return aside.count == workers.count ? [] : Set(aside)
  }

  /// Whether one more worker lost with the task puts it into quarantine. It is then given to a worker that has nothing
  /// else in hand and gets nothing else meanwhile, so that no other task is taken for the culprit, and none hides behind it.
  func isSuspect(_ task: TaskID) -> Bool { record(task).deaths.count >= policy.deathsPerTask - 1 }
}
