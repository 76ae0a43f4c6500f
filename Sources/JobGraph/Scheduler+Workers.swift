extension Scheduler {
  mutating func join(_ worker: WorkerID, slots: Int, _ inventory: Inventory, _ actions: inout [SchedulerAction]) {
    // It is dead, whether or not that was noticed, and its cache is this worker's now.
    if let predecessor = inventory.predecessor, predecessor != worker { lose(predecessor, .death, &actions) }
    if workers[worker] != nil { forget(worker, .returned, &actions) }
    exonerate(worker, &actions)
    workers[worker] = WorkerRecord(slots: max(1, slots), now: now)
    take(inventory.passes, of: worker, &actions)
  }

  mutating func heard(_ worker: WorkerID, _ actions: inout [SchedulerAction]) {
    if workers[worker] == nil {
      actions.append(.dismiss(worker, reason: "this worker is not part of the job: it was thought lost"))
    } else {
      workers[worker]?.lastHeard = now
    }
  }

  /// A lease the worker should know of but does not list: the message that gave it, or its result, was lost.
  /// A lease it lists that means nothing here is of an earlier life, or its acknowledgement was lost.
  mutating func reconcile(_ worker: WorkerID, _ holding: [Lease: TaskID], _ actions: inout [SchedulerAction]) {
    guard let record = workers[worker] else { return }
    for (lease, task) in holding.sorted(by: { $0.key < $1.key }) where record.running[lease] == nil {
      if self.record(task).isStoring(lease, of: worker) { continue }
      actions.append(.cancel(worker, task, lease))
    }
    var declined: TaskID?
    for (lease, task) in record.running.sorted(by: { $0.key < $1.key }) where holding[lease] == nil {
      guard now - (record.givenOut[lease] ?? now) > policy.assignmentTimeout else { continue }
      free(worker, task, lease)
      guard holds(worker, task, lease) else { continue }
      // In case it is still on its way.
      actions.append(.cancel(worker, task, lease))
      giveUp(task, lease, of: worker, .declined, &actions)
      declined = task
    }
    // What is missing at one time may have been lost with one connection, and counts once.
    if let declined { count(declineOf: declined, on: worker, &actions) }
  }

  /// What the worker is at under a living lease.
  func attempts(of worker: WorkerID) -> [(task: TaskID, attempt: Attempt)] {
    (workers[worker]?.running ?? [:]).compactMap { lease, task in
      record(task).attempt(lease, on: worker).map { (task: task, attempt: $0) }
    }
  }

  /// Whether the worker has had no slot free, and nothing under a living lease, for as long as a lease: others do not wait for
  /// it. One whose attempt was cancelled is like that for a moment.
  func isStuck(_ worker: WorkerID) -> Bool {
    guard let record = workers[worker], now - record.lastUseful > policy.leaseDuration else { return false }
    return !isUseful(worker)
  }

  private func isUseful(_ worker: WorkerID) -> Bool { hasFreeSlot(worker) || !attempts(of: worker).isEmpty }

  /// The worker's slot is free again, if it is this task that fills it.
  mutating func free(_ worker: WorkerID, _ task: TaskID, _ lease: Lease) {
    guard workers[worker]?.running[lease] == task else { return }
    workers[worker]?.running[lease] = nil
    workers[worker]?.givenOut[lease] = nil
  }

  mutating func lose(_ worker: WorkerID, _ end: AttemptEnd, _ actions: inout [SchedulerAction]) {
    guard workers[worker] != nil else { return }
    lostWorkers += 1
    actions.append(.forsake(worker))
    forget(worker, end, &actions)
  }

  /// Takes the worker's tasks back, and what it held off the books.
  private mutating func forget(_ worker: WorkerID, _ end: AttemptEnd, _ actions: inout [SchedulerAction]) {
    let running = workers.removeValue(forKey: worker)?.running ?? [:]
    for (shard, owner) in shardOwners where owner == worker { shardOwners[shard] = nil }
    for (task, record) in tasks where record.worker == worker && task.leavesOutputsOnWorker && record.isDone {
      makeAgain(task)
    }
    for (lease, task) in running.sorted(by: { $0.key < $1.key }) where holds(worker, task, lease) {
      giveUp(task, lease, of: worker, end, &actions)
    }
  }

  /// What a collect, recollect or distill made is nowhere any more.
  mutating func makeAgain(_ task: TaskID) {
    update(task) {
      $0.state = .pending
      $0.worker = nil
      $0.outputs = []
    }
  }

  /// Silent workers and leases without progress.
  mutating func expire(_ actions: inout [SchedulerAction]) {
    for (worker, record) in workers.sorted(by: { $0.key < $1.key })
    where now - record.lastHeard > policy.heartbeatTimeout {
      actions.append(.dismiss(worker, reason: "no word for \(now - record.lastHeard)"))
      lose(worker, .death, &actions)
    }
    for worker in workers.keys where isUseful(worker) { workers[worker]?.lastUseful = now }
    let overdue = workers.keys.flatMap { worker in attempts(of: worker).filter { $0.attempt.deadline < now } }
    for (task, attempt) in overdue.sorted(by: { $0.attempt.lease < $1.attempt.lease }) {
      actions.append(.cancel(attempt.worker, task, attempt.lease))
      let reason = "no progress within its lease on worker \(attempt.worker)"
      giveUp(task, attempt.lease, of: attempt.worker, .failed(because: reason), &actions)
    }
  }

  /// Nobody is held to have been silent, or to have made no progress, in a time when this side did not listen.
  mutating func allow(_ gap: Duration) {
    for worker in workers.keys {
      workers[worker]?.lastHeard += gap
      workers[worker]?.lastUseful += gap
      for lease in workers[worker]?.givenOut.keys.map({ $0 }) ?? [] { workers[worker]?.givenOut[lease]? += gap }
      for (task, attempt) in attempts(of: worker) {
        update(task) { $0.renew(attempt.lease, until: attempt.deadline + gap) }
      }
    }
  }

  mutating func progressed(_ worker: WorkerID, _ task: TaskID, _ lease: Lease, _ actions: inout [SchedulerAction]) {
    heard(worker, &actions)
    guard workers[worker] != nil else { return }
    if holds(worker, task, lease) {
      let deadline = now + policy.leaseDuration
      update(task) { $0.renew(lease, until: deadline) }
    } else {
      actions.append(.cancel(worker, task, lease))
    }
  }

  /// Whether the worker has the task under a living lease.
  func holds(_ worker: WorkerID, _ task: TaskID, _ lease: Lease) -> Bool {
    record(task).attempt(lease, on: worker) != nil
  }
}
