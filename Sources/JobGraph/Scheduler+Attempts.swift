/// How an attempt came to nothing.
enum AttemptEnd: Sendable, Equatable {
  /// Nobody is to blame: its worker left, or what it wanted a lost worker held.
  case returned
  /// The worker does not have it: it never arrived, or was turned down.
  case declined
  /// The task, or the worker, may be at fault.
  case failed(because: String)
  /// The worker was lost with the task in hand.
  case death
}

// What comes of attempts without a result.
extension Scheduler {
  /// Takes an attempt off its task. Without another one the task is given out again after a pause, or not any more if too
  /// much is wrong with it.
  mutating func giveUp(
    _ task: TaskID, _ lease: Lease, of worker: WorkerID, _ end: AttemptEnd, _ actions: inout [SchedulerAction]
  ) {
    update(task) {
      $0.remove(lease)
      switch end {
      case .returned: break
      case .declined: $0.passedOver.insert(worker)
      case .failed:
        $0.failures[worker, default: 0] += 1
        $0.passedOver.insert(worker)
      case .death: $0.deaths.append(worker)
      }
    }
    if case .failed = end { count(failureOf: task, on: worker, &actions) }
    let record = record(task)
    guard record.isPending else { return }
    if let shard = task.shard, shardOwners[shard] == worker { shardOwners[shard] = nil }
    if record.deaths.count >= policy.deathsPerTask { return quarantine(task, &actions) }
    if case .failed(let reason) = end, isExhausted(task) { return stop(.attemptsExhausted(task, reason), &actions) }
    let notBefore = now + policy.pause(before: task, after: record.failureCount + record.deaths.count)
    update(task) { $0.notBefore = notBefore }
  }

  /// Whether a task has failed too often to be tried again. If it failed on one worker alone, that may be at fault: then
  /// another is to try it first, as long as there is one that will take it. One that is set aside will, in a while.
  private func isExhausted(_ task: TaskID) -> Bool {
    let record = record(task)
    guard record.failureCount >= policy.attemptsPerTask else { return false }
    if record.failures.count >= policy.workersPerTask { return true }
    return !workers.contains { worker, state in
      record.failures[worker] == nil && state.declines < policy.failuresPerWorker && !isStuck(worker)
        && !isTooLarge(task, for: worker)
    }
  }

  /// A worker that takes no tasks is of as little use as one on which they fail; but the task is not at fault.
  mutating func count(declineOf task: TaskID, on worker: WorkerID, _ actions: inout [SchedulerAction]) {
    workers[worker]?.declines += 1
    count(failureOf: task, on: worker, &actions)
  }

  /// A worker on which attempt after attempt fails is given nothing for a while. It keeps what it holds, but not its shards.
  private mutating func count(failureOf task: TaskID, on worker: WorkerID, _ actions: inout [SchedulerAction]) {
    guard var record = workers[worker] else { return }
    record.failedTasks.append(task)
    workers[worker] = record
    if record.failedTasks.count >= policy.failuresPerWorker {
      setAside(worker, because: .failures(of: record.failedTasks), &actions)
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
    setAside = workersSetAside
    for (shard, owner) in shardOwners where owner == worker { shardOwners[shard] = nil }
  }

  /// A result has come from it, or what it made for others has. What lies there still may be out of reach.
  mutating func count(successOn worker: WorkerID) {
    workers[worker]?.failedTasks = []
    workers[worker]?.timesSetAside = 0
    workers[worker]?.declines = 0
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
