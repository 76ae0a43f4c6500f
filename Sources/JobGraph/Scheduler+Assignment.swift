extension Scheduler {
  /// Fills free slots, one task a worker at a time so that work spreads before it piles up.
  mutating func giveOut(_ actions: inout [SchedulerAction]) {
    setAside = workersSetAside
    let available = workers.keys.filter { !setAside.contains($0) }.sorted()
    var hungry = available
    while !hungry.isEmpty {
      hungry = hungry.filter { worker in
        guard hasFreeSlot(worker), let task = nextTask(for: worker) else { return false }
        assign(task, to: worker, &actions)
        return true
      }
    }
    giveOutCopies(to: available, &actions)
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

  /// Collecting comes first, because everything waits for it, but only within the window; then verifying, which closes
  /// blocks and moves the window on; then tuning, which is a chain; then fits; at the last another worker's shard. Once
  /// all blocks are made, they are distilled together. A job that evaluates has nothing but evaluations.
  private func nextTask(for worker: WorkerID) -> TaskID? {
    if plan.isEvaluation { return nextEvaluation(for: worker) }
    return nextPass(for: worker) ?? nextVerify(for: worker) ?? nextTune(for: worker) ?? nextFit(for: worker)
      ?? nextStolenPass(for: worker) ?? nextDistill(for: worker)
  }

  private func nextEvaluation(for worker: WorkerID) -> TaskID? {
    let open = lowestOpenEvaluation..<plan.evaluationCount
    return open.lazy.map { .evaluate(shard: $0) }.first { isDue($0, for: worker) }
  }

  /// The blocks that may be worked on now. Enough for every slot to have a fit, and no more: Grams take space.
  private var window: Range<Int> {
    let slots = workers.values.reduce(0) { $0 + $1.slots }
    let blocksForSlots = (slots + plan.linears.count - 1) / max(1, plan.linears.count)
    return lowestOpenBlock..<min(plan.blockCount, lowestOpenBlock + 1 + policy.lookaheadBlocks + blocksForSlots)
  }

  func isDue(_ task: TaskID, for worker: WorkerID) -> Bool {
    let record = record(task)
    if !record.isPending || now < record.notBefore || isTooLarge(task, for: worker) { return false }
    // Another worker may do better, if there is one.
    if record.failedOn.contains(worker), now < record.notBefore + policy.secondChancePause,
      workers.keys.contains(where: { !record.failedOn.contains($0) })
    {
      return false
    }
    return !isSuspect(task) || workers[worker]?.running.isEmpty == true
  }
}

// Collect and recollect: passes of a block over a shard.
extension Scheduler {
  /// Whether anyone still waits for what the collect makes. A lost Gram of a block whose fits are all under way or done
  /// is not made again, unless one of them comes back.
  private func isNeeded(block: Int, shard: Int) -> Bool {
    plan.shards[shard].isHeldOut
      ? isWanted(.verify(block: block))
      : plan.firstFits(ofBlock: block).contains(where: isWanted)
  }

  /// Whether a fit still needs what the recollect makes, or may need it again.
  func isRecollectAwaited(_ task: TaskID) -> Bool {
    !record(task).isDone && plan.repairingFits(ofBlock: task.block).contains { !record($0).isDone }
  }

  private func isRecollectReady(block: Int, shard: Int, for worker: WorkerID) -> Bool {
    let task = TaskID.recollect(block: block, shard: shard)
    guard plan.recollects(shard) else { return false }
    return isReady(task, for: worker) && isWanted(task) && plan.repairingFits(ofBlock: block).contains(where: isWanted)
  }

  /// What the worker can run over shards of a block now, whoever has them.
  private func readyPasses(block: Int, for worker: WorkerID) -> [(task: TaskID, shard: Int)] {
    var ready: [(task: TaskID, shard: Int)] = []
    for shard in plan.shards.indices {
      if isRecollectReady(block: block, shard: shard, for: worker) {
        ready.append((.recollect(block: block, shard: shard), shard))
      }
      if isCollectReady(block: block, shard: shard, for: worker) {
        ready.append((.collect(block: block, shard: shard), shard))
      }
    }
    return ready
  }

  /// Whether the task is to be done, and can be some day.
  private func isWanted(_ task: TaskID) -> Bool { record(task).isPending && !quarantine.blocked.contains(task) }

  private func isCollectReady(block: Int, shard: Int, for worker: WorkerID) -> Bool {
    let task = TaskID.collect(block: block, shard: shard)
    guard isDue(task, for: worker), isWanted(task), isNeeded(block: block, shard: shard) else { return false }
    // Only the verification waits for it. Made early, it takes space for long, and may be lost before it is of use.
    let isHeldOut = plan.shards[shard].isHeldOut
    if isHeldOut, !isDistilled { return false }
    if isHeldOut, plan.fits(ofBlock: block).contains(where: { record($0).isPending }) { return false }
    if block == 0 { return true }
    if plan.propagation == .student, packed(block - 1) == nil { return false }
    return record(.collect(block: block - 1, shard: shard)).isDone || !isNeeded(block: block - 1, shard: shard)
  }

  private func nextPass(for worker: WorkerID) -> TaskID? {
    for block in window {
      for (task, shard) in readyPasses(block: block, for: worker) {
        guard let owner = shardOwners[shard], owner != worker else { return task }
        if setAside.contains(owner) || isTooLarge(task, for: owner) { return task }
      }
    }
    return nil
  }

  /// A shard of a worker that is busy and has more than one waiting.
  private func nextStolenPass(for worker: WorkerID) -> TaskID? {
    var waiting: [WorkerID: [TaskID]] = [:]
    for block in window {
      for (task, shard) in readyPasses(block: block, for: worker) {
        if let owner = shardOwners[shard], !hasFreeSlot(owner) {
          waiting[owner, default: []].append(task)
        }
      }
    }
    let busiest = waiting.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }
    guard let busiest, busiest.value.count > 1 else { return nil }
    return busiest.value.last
  }
}

// Fit, tune and verify.
extension Scheduler {
  /// Workers that had a hand in the block's fits.
  private func fitters(ofBlock block: Int) -> Set<WorkerID> {
    Set(plan.fits(ofBlock: block).flatMap { record($0).hands })
  }

  /// Workers that had a hand in making the block.
  func makers(ofBlock block: Int) -> Set<WorkerID> {
    fitters(ofBlock: block).union(plan.isTuned ? record(.tune(block: block)).hands : [])
  }

  /// Whether others may wait for the worker to take the task.
  private func suits(_ task: TaskID, _ worker: WorkerID) -> Bool {
    !setAside.contains(worker) && !isTooLarge(task, for: worker) && !record(task).failedOn.contains(worker)
  }

  private func isReady(_ task: TaskID, for worker: WorkerID) -> Bool { isDue(task, for: worker) && hasInputs(task) }

  /// A block's fits go to one worker while there is other work for the others: it has the Grams, and another can verify.
  /// Within a block the costliest first.
  private func nextFit(for worker: WorkerID) -> TaskID? {
    var best: (key: (Int, Int, Double), task: TaskID)?
    for block in window {
      let fitters = fitters(ofBlock: block)
      let isForeign = fitters.isEmpty || fitters.contains(worker) ? 0 : 1
      for linear in plan.linears.indices where isReady(.fit(block: block, linear: linear), for: worker) {
        let key = (isForeign, block, -plan.linears[linear].cost)
        if best.map({ key < $0.key }) ?? true { best = (key, .fit(block: block, linear: linear)) }
      }
    }
    return best?.task
  }

  /// A block is tuned on what the tuned blocks before it make. The worker that tuned the last one holds that, so it has the
  /// next one too, as long as it lives and can.
  private func nextTune(for worker: WorkerID) -> TaskID? {
    guard plan.isTuned else { return nil }
    for block in window where merged[block] != nil && isDue(.tune(block: block), for: worker) {
      if block == 0 { return .tune(block: block) }
      guard tuned[block - 1] != nil else { return nil }
      let last = record(.tune(block: block - 1)).worker
      let isFree = last.map { workers[$0] == nil || !suits(.tune(block: block), $0) } ?? true
      return last == worker || isFree ? .tune(block: block) : nil
    }
    return nil
  }

  /// Not by one that fitted or tuned the block, where there is another.
  private func nextVerify(for worker: WorkerID) -> TaskID? {
    for block in window where packed(block) != nil && isReady(.verify(block: block), for: worker) {
      let makers = makers(ofBlock: block)
      let hasOther = workers.keys.contains {
        !makers.contains($0) && suits(.verify(block: block), $0)
      }
      if !hasOther || !makers.contains(worker) { return .verify(block: block) }
    }
    return nil
  }
}
