extension Scheduler {
  /// Fills free slots, one task a worker at a time so that work spreads before it piles up.
  mutating func giveOut(_ actions: inout [SchedulerAction]) {
    var hungry = workers.keys.sorted()
    while !hungry.isEmpty {
      hungry = hungry.filter { worker in
        guard workers[worker]?.hasFreeSlot == true, let task = nextTask(for: worker) else { return false }
        assign(task, to: worker, &actions)
        return true
      }
    }
  }

  private mutating func assign(_ task: TaskID, to worker: WorkerID, _ actions: inout [SchedulerAction]) {
    let lease = Lease(number: nextLease)
    nextLease += 1
    actions.append(.assign(worker, task, lease, inputs: inputs(of: task)))
    workers[worker]?.running[lease] = task
    workers[worker]?.givenOut[lease] = now
    if case .collect(_, let shard) = task { shardOwners[shard] = worker }
    let deadline = now + policy.leaseDuration
    update(task) {
      $0.state = .running(lease, worker, deadline: deadline)
      $0.worker = worker
      $0.outputs = []
    }
  }

  /// Collecting comes first, because everything waits for it, but only within the window; then verifying, which closes
  /// blocks and moves the window on; then tuning, which is a chain; then fits; at the last another worker's shard.
  private func nextTask(for worker: WorkerID) -> TaskID? {
    nextPass(for: worker) ?? nextVerify(for: worker) ?? nextTune(for: worker) ?? nextFit(for: worker)
      ?? nextStolenPass(for: worker)
  }

  /// The blocks that may be worked on now. Enough for every slot to have a fit, and no more: Grams take space.
  private var window: Range<Int> {
    let slots = workers.values.reduce(0) { $0 + $1.slots }
    let blocksForSlots = (slots + plan.linears.count - 1) / max(1, plan.linears.count)
    return lowestOpenBlock..<min(plan.blockCount, lowestOpenBlock + 1 + policy.lookaheadBlocks + blocksForSlots)
  }

  private func isDue(_ task: TaskID) -> Bool {
    let record = record(task)
    return record.isPending && record.notBefore <= now
  }
}

// Collect and recollect: passes of a block over a shard.
extension Scheduler {
  /// Whether anyone still waits for what the collect makes. A lost Gram of a block whose fits are all under way or done
  /// is not made again, unless one of them comes back.
  private func isNeeded(block: Int, shard: Int) -> Bool {
    plan.shards[shard].isHeldOut
      ? record(.verify(block: block)).isPending
      : plan.firstFits(ofBlock: block).contains { record($0).isPending }
  }

  /// Whether a fit still needs what the recollect makes, or may need it again.
  func awaitsRecollect(block: Int, shard: Int) -> Bool {
    guard plan.repairSite != nil, !plan.shards[shard].isHeldOut else { return false }
    return !record(.recollect(block: block, shard: shard)).isDone
      && plan.repairingFits(ofBlock: block).contains { !record($0).isDone }
  }

  private func isRecollectReady(block: Int, shard: Int) -> Bool {
    let task = TaskID.recollect(block: block, shard: shard)
    return plan.repairSite != nil && !plan.shards[shard].isHeldOut && isDue(task)
      && plan.repairingFits(ofBlock: block).contains { record($0).isPending }
      && plan.firstFits(ofBlock: block).allSatisfy { fitted[$0] != nil }
  }

  /// What can be run over shards of a block now.
  private func readyPasses(block: Int) -> [(task: TaskID, shard: Int)] {
    plan.shards.indices.flatMap { shard -> [(task: TaskID, shard: Int)] in
      var ready: [(task: TaskID, shard: Int)] = []
      if isRecollectReady(block: block, shard: shard) { ready.append((.recollect(block: block, shard: shard), shard)) }
      if isCollectReady(block: block, shard: shard) { ready.append((.collect(block: block, shard: shard), shard)) }
      return ready
    }
  }

  private func isCollectReady(block: Int, shard: Int) -> Bool {
    guard isDue(.collect(block: block, shard: shard)), isNeeded(block: block, shard: shard) else { return false }
    if block == 0 { return true }
    if plan.propagation == .student, packed(block - 1) == nil { return false }
    return record(.collect(block: block - 1, shard: shard)).isDone || !isNeeded(block: block - 1, shard: shard)
  }

  private func nextPass(for worker: WorkerID) -> TaskID? {
    for block in window {
      for (task, shard) in readyPasses(block: block) {
        let owner = shardOwners[shard]
        if owner == nil || owner == worker { return task }
      }
    }
    return nil
  }

  /// A shard of a worker that is busy and has more than one waiting.
  private func nextStolenPass(for worker: WorkerID) -> TaskID? {
    var waiting: [WorkerID: [TaskID]] = [:]
    for block in window {
      for (task, shard) in readyPasses(block: block) {
        if let owner = shardOwners[shard], workers[owner]?.hasFreeSlot == false {
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
    Set(plan.fits(ofBlock: block).compactMap { record($0).isPending ? nil : record($0).worker })
  }

  /// Workers that had a hand in making the block.
  private func makers(ofBlock block: Int) -> Set<WorkerID> {
    let tuner = plan.isTuned ? record(.tune(block: block)).worker : nil
    return tuner.map { fitters(ofBlock: block).union([$0]) } ?? fitters(ofBlock: block)
  }

  private func isFitReady(block: Int, linear: Int) -> Bool {
    guard isDue(.fit(block: block, linear: linear)) else { return false }
    let gram = ArtifactRef.gramName(plan.linears[linear].site)
    return plan.fitShards.allSatisfy {
      let source = record(plan.gramSource(block: block, linear: linear, shard: $0))
      return source.isDone && source.output(named: gram) != nil
    }
  }

  /// A block's fits go to one worker while there is other work for the others: it has the Grams, and another can verify.
  /// Within a block the costliest first.
  private func nextFit(for worker: WorkerID) -> TaskID? {
    var best: (key: (Int, Int, Double), task: TaskID)?
    for block in window {
      let fitters = fitters(ofBlock: block)
      let isForeign = fitters.isEmpty || fitters.contains(worker) ? 0 : 1
      for linear in plan.linears.indices where isFitReady(block: block, linear: linear) {
        let key = (isForeign, block, -plan.linears[linear].cost)
        if best.map({ key < $0.key }) ?? true { best = (key, .fit(block: block, linear: linear)) }
      }
    }
    return best?.task
  }

  /// A block is tuned on what the tuned blocks before it make. The worker that tuned the last one holds that, so it has the
  /// next one too, as long as it lives.
  private func nextTune(for worker: WorkerID) -> TaskID? {
    guard plan.isTuned else { return nil }
    for block in window where merged[block] != nil && isDue(.tune(block: block)) {
      if block == 0 { return .tune(block: block) }
      guard tuned[block - 1] != nil else { return nil }
      let last = record(.tune(block: block - 1)).worker
      return last == worker || last.map({ workers[$0] == nil }) ?? true ? .tune(block: block) : nil
    }
    return nil
  }

  private func isVerifyReady(block: Int) -> Bool {
    guard packed(block) != nil, isDue(.verify(block: block)) else { return false }
    return plan.heldOutShards.allSatisfy { record(.collect(block: block, shard: $0)).isDone }
  }

  /// Not by one that fitted or tuned the block, where there is another.
  private func nextVerify(for worker: WorkerID) -> TaskID? {
    for block in window where isVerifyReady(block: block) {
      let makers = makers(ofBlock: block)
      let hasOther = workers.keys.contains { !makers.contains($0) }
      if !hasOther || !makers.contains(worker) { return .verify(block: block) }
    }
    return nil
  }
}

// Inputs.
extension Scheduler {
  private func inputs(of task: TaskID) -> [TaskInput] {
    switch task {
    case .collect(let block, let shard):
      return hiddenInputs(block: block, shard: shard) + studentInputs(below: block)
    case .recollect(let block, let shard):
      return hiddenInputs(block: block, shard: shard) + studentInputs(below: block) + fittedInputs(block: block)
    case .fit(let block, let linear):
      let site = plan.linears[linear].site
      return plan.fitShards.flatMap {
        held(plan.gramSource(block: block, linear: linear, shard: $0), index: $0) {
          $0 == ArtifactRef.gramName(site) || $0 == ArtifactRef.lossName(site)
        }
      }
    case .tune(let block):
      return (0..<block).flatMap(packedInput) + Self.input(block, merged[block])
    case .verify(let block):
      let grams = plan.heldOutShards.flatMap {
        held(.collect(block: block, shard: $0), index: $0) { $0.hasPrefix(ArtifactRef.gramName("")) }
      }
      let hidden = plan.heldOutShards.flatMap { hiddenInputs(block: block, shard: $0) }
      return grams + hidden + studentInputs(below: block) + packedInput(block)
    }
  }

  /// The shard's hidden state at this block or, in student mode, at the one before, where a worker holds it.
  /// Without it the worker starts from the tokens.
  private func hiddenInputs(block: Int, shard: Int) -> [TaskInput] {
    let blocks = plan.propagation == .teacher ? [block] : [block, block - 1]
    return blocks.flatMap { input -> [TaskInput] in
      let producer = hiddenProducer(block: input)
      if producer < 0 { return [] }
      return held(.collect(block: producer, shard: shard), index: shard) { $0 == ArtifactRef.hiddenName(input) }
    }
  }

  /// In student mode hidden states run through the packed blocks before this one.
  private func studentInputs(below block: Int) -> [TaskInput] {
    plan.propagation == .teacher ? [] : (0..<block).flatMap(packedInput)
  }

  /// The linears of a block that are fitted first, by their index.
  private func fittedInputs(block: Int) -> [TaskInput] {
    plan.linears.indices.compactMap { linear in
      guard !plan.repairs(linear), let artifact = fitted[.fit(block: block, linear: linear)] else { return nil }
      let input = ArtifactRef(name: ArtifactRef.fittedName, digest: artifact.digest, size: artifact.size)
      return TaskInput(index: linear, artifact: input, holder: .coordinator)
    }
  }

  private func packedInput(_ block: Int) -> [TaskInput] { Self.input(block, packed(block)) }

  private static func input(_ block: Int, _ artifact: ArtifactRef?) -> [TaskInput] {
    artifact.map { [TaskInput(index: block, artifact: $0, holder: .coordinator)] } ?? []
  }

  private func held(_ task: TaskID, index: Int, where matches: (String) -> Bool) -> [TaskInput] {
    let record = record(task)
    guard record.isDone, let holder = record.worker else { return [] }
    return record.outputs.filter { matches($0.name) }.map {
      TaskInput(index: index, artifact: $0, holder: .worker(holder))
    }
  }
}
