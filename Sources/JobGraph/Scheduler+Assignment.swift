extension Scheduler {
  /// Fills free slots, one task a worker at a time so that work spreads before it piles up.
  mutating func giveOut(_ actions: inout [SchedulerAction]) {
    setAside = workersSetAside
    let free = workers.keys.filter { !setAside.contains($0) && !isResting($0) && hasFreeSlot($0) }.sorted()
    if free.isEmpty { return }
    let idle = free.filter { workers[$0]?.isSlow == false } + free.filter { workers[$0]?.isSlow == true }
    var ready = readyWork
    var hungry = idle
    while !hungry.isEmpty {
      hungry = hungry.filter { worker in
        guard hasFreeSlot(worker), let task = nextTask(for: worker, of: ready) else { return false }
        assign(task, to: worker, &actions)
        // What is given out may make other work ready, or needless.
        ready = readyWork
        return true
      }
    }
    giveOutCopies(to: idle, &actions)
  }

  mutating func assign(_ task: TaskID, to worker: WorkerID, _ actions: inout [SchedulerAction]) {
    let lease = Lease(number: nextLease)
    nextLease += 1
    let inputs = inputs(of: task)
    actions.append(.assign(worker, task, lease, inputs: inputs))
    workers[worker]?.running[lease] = task
    workers[worker]?.givenOut[lease] = now
    if case .collect(_, let shard) = task, record(task).isPending { shardOwners[shard] = worker }
    let attempt = Attempt(
      lease: lease, worker: worker, start: now, deadline: now + policy.leaseDuration, sources: Self.sources(of: inputs))
    update(task) { $0.state = .running($0.attempts + [attempt]) }
  }

  /// A suspect has its worker to itself.
  func hasFreeSlot(_ worker: WorkerID) -> Bool {
    guard let record = workers[worker], record.running.count < record.slots else { return false }
    return !record.running.values.contains(where: isSuspect)
  }

  private func isResting(_ worker: WorkerID) -> Bool { workers[worker].map { $0.restsUntil > now } ?? false }

  /// Collecting comes first, because everything waits for it, but only within the window; then verifying, which closes
  /// blocks and moves the window on; then tuning, which is a chain; then fits; at the last another worker's shard. Once
  /// all blocks are made, they are distilled together. A job that evaluates has nothing but evaluations.
  private func nextTask(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    if plan.isEvaluation { return nextEvaluation(for: worker) }
    return nextPass(for: worker, of: ready) ?? nextVerify(for: worker, of: ready) ?? nextTune(for: worker, of: ready)
      ?? nextFit(for: worker, of: ready) ?? nextStolenPass(for: worker, of: ready) ?? nextStep(for: worker, of: ready)
  }

  private func nextEvaluation(for worker: WorkerID) -> TaskID? {
    let open = lowestOpenEvaluation..<plan.evaluationCount
    return open.lazy.map { TaskID.evaluate(shard: $0) }.first { isOpen($0) && isAdmissible(worker, for: $0) }
  }
}

// Which worker may have a task.
extension Scheduler {
  /// Whether a worker may have a task that is open.
  private func isAdmissible(_ worker: WorkerID, for task: TaskID) -> Bool {
    if isTooLarge(task, for: worker) || isPassedOver(worker, for: task) { return false }
    return !isSuspect(task) || workers[worker]?.running.isEmpty == true
  }

  /// Whether others may have the task first: one of them may do better.
  private func isPassedOver(_ worker: WorkerID, for task: TaskID) -> Bool {
    let record = record(task)
    guard record.passedOver.contains(worker) else { return false }
    let secondChance = record.notBefore + policy.secondChance(after: record.failures[worker] ?? 0)
    return now < secondChance && workers.keys.contains { suits(task, $0) }
  }

  /// Whether others may wait for the worker to take the task.
  func suits(_ task: TaskID, _ worker: WorkerID) -> Bool {
    isAble(worker, for: task) && !record(task).passedOver.contains(worker)
  }

  /// Whether the worker is given tasks at all, will have a slot for one, and is not too small for this one.
  private func isAble(_ worker: WorkerID, for task: TaskID) -> Bool {
    !setAside.contains(worker) && !isStuck(worker) && !isTooLarge(task, for: worker)
  }
}

// What comes first of what is ready.
extension Scheduler {
  private func nextPass(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    ready.passes.first { pass in
      (pass.owner == nil || pass.owner == worker) && isAdmissible(worker, for: pass.task)
    }?.task
  }

  /// A shard of a worker that is busy and has more than one waiting.
  private func nextStolenPass(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    var waiting: [WorkerID: [TaskID]] = [:]
    for (task, owner) in ready.passes {
      guard let owner, !hasFreeSlot(owner), isAdmissible(worker, for: task) else { continue }
      waiting[owner, default: []].append(task)
    }
    let busiest = waiting.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }
    guard let busiest, busiest.value.count > 1 else { return nil }
    return busiest.value.last
  }

  /// A block's fits go to one worker while there is other work for the others: it has the Grams, and another can verify.
  /// Within a block the costliest first.
  private func nextFit(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    var best: (key: (Int, Int, Double), task: TaskID)?
    for (task, fitters) in ready.fits where isAdmissible(worker, for: task) {
      guard case .fit(let block, let linear) = task else { continue }
      let isForeign = fitters.isEmpty || fitters.contains(worker) ? 0 : 1
      let key = (isForeign, block, -plan.linears[linear].cost)
      if best.map({ key < $0.key }) ?? true { best = (key, task) }
    }
    return best?.task
  }

  /// A block is tuned on what the tuned blocks before it make. The worker that tuned the last one holds that, so it has the
  /// next one too, as long as it lives and can.
  private func nextTune(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    guard let task = ready.tunes.first(where: { isAdmissible(worker, for: $0) }) else { return nil }
    if task.block == 0 { return task }
    guard tuned[task.block - 1] != nil else { return nil }
    let last = record(.tune(block: task.block - 1)).worker
    let isFree = last.map { workers[$0] == nil || !suits(task, $0) } ?? true
    return last == worker || isFree ? task : nil
  }

  /// Not by one that fitted or tuned the block, where there is another.
  private func nextVerify(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    ready.verifications.first { !$0.makers.contains(worker) && isAdmissible(worker, for: $0.task) }?.task
  }

  /// Any worker will do.
  private func nextStep(for worker: WorkerID, of ready: ReadyWork) -> TaskID? {
    ready.steps.first { isAdmissible(worker, for: $0) }
  }
}
