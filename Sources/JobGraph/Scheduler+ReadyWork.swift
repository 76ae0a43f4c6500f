/// What can be given out now, to one worker or another. It is found once for all of them, because most that are idle are so
/// for want of work.
struct ReadyWork {
  /// Collects and recollects, each with the worker that comes first if there is one.
  var passes: [(task: TaskID, owner: WorkerID?)] = []
  /// Each with those that are not to have it: they had a hand in the block, and others can have it.
  var verifications: [(task: TaskID, makers: Set<WorkerID>)] = []
  /// Of merged blocks, whether or not the blocks before them are tuned.
  var tunes: [TaskID] = []
  /// Each with the workers that have a hand in the block's fits.
  var fits: [(task: TaskID, fitters: Set<WorkerID>)] = []
  /// Micro-batches of the distillation's step that is due, or its update.
  var steps: [TaskID] = []
}

extension Scheduler {
  /// The lowest block first, and in it everything in the order in which it is given out.
  var readyWork: ReadyWork {
    var ready = ReadyWork()
    for block in window {
      ready.passes += readyPasses(block: block)
      ready.fits += readyFits(block: block)
      let (tune, verify) = (TaskID.tune(block: block), TaskID.verify(block: block))
      if plan.isTuned, merged[block] != nil, isOpen(tune) { ready.tunes.append(tune) }
      if packed(block) != nil, isReady(verify) {
        ready.verifications.append((task: verify, makers: makersToSpare(verify)))
      }
    }
    ready.steps = readySteps
    return ready
  }

  /// The blocks that may be worked on now. Enough for every slot to have a fit, and no more: Grams take space.
  private var window: Range<Int> {
    let slots = workers.values.reduce(0) { $0 + $1.slots }
    let blocksForSlots = (slots + plan.linears.count - 1) / max(1, plan.linears.count)
    return lowestOpenBlock..<min(plan.blockCount, lowestOpenBlock + 1 + policy.lookaheadBlocks + blocksForSlots)
  }

  /// Whether the task may be given out at this time.
  func isOpen(_ task: TaskID) -> Bool {
    let record = record(task)
    return record.isPending && now >= record.notBefore
  }

  func isReady(_ task: TaskID) -> Bool { isOpen(task) && hasInputs(task) }

  /// Whether the task is to be done, and can be some day.
  private func isWanted(_ task: TaskID) -> Bool { record(task).isPending && !quarantine.blocked.contains(task) }
}

// Collect and recollect: passes of a block over a shard.
extension Scheduler {
  private func readyPasses(block: Int) -> [(task: TaskID, owner: WorkerID?)] {
    var passes: [TaskID] = []
    for shard in plan.shards.indices {
      let recollect = TaskID.recollect(block: block, shard: shard)
      let collect = TaskID.collect(block: block, shard: shard)
      if isRecollectReady(recollect, shard: shard) { passes.append(recollect) }
      if isCollectReady(collect, shard: shard) { passes.append(collect) }
    }
    return passes.map { (task: $0, owner: owner(of: $0)) }
  }

  /// The worker that has the pass's shard, if others may wait for it.
  private func owner(of pass: TaskID) -> WorkerID? {
    guard let shard = pass.shard, let owner = shardOwners[shard], suits(pass, owner) else { return nil }
    return owner
  }

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

  private func isRecollectReady(_ task: TaskID, shard: Int) -> Bool {
    guard plan.recollects(shard), isReady(task), isWanted(task) else { return false }
    return plan.repairingFits(ofBlock: task.block).contains(where: isWanted)
  }

  private func isCollectReady(_ task: TaskID, shard: Int) -> Bool {
    let block = task.block
    guard isOpen(task), isWanted(task), isNeeded(block: block, shard: shard) else { return false }
    // Only the verification waits for it. Made early, it takes space for long, and may be lost before it is of use.
    let isHeldOut = plan.shards[shard].isHeldOut
    if isHeldOut, !isDistilled { return false }
    if isHeldOut, plan.fits(ofBlock: block).contains(where: { record($0).isPending }) { return false }
    if block == 0 { return true }
    if plan.propagation == .student, packed(block - 1) == nil { return false }
    return record(.collect(block: block - 1, shard: shard)).isDone || !isNeeded(block: block - 1, shard: shard)
  }
}

// Fit and verify.
extension Scheduler {
  private func readyFits(block: Int) -> [(task: TaskID, fitters: Set<WorkerID>)] {
    let tasks = plan.fits(ofBlock: block).filter(isReady)
    if tasks.isEmpty { return [] }
    let fitters = fitters(ofBlock: block)
    return tasks.map { (task: $0, fitters: fitters) }
  }

  /// Workers that had a hand in the block's fits.
  private func fitters(ofBlock block: Int) -> Set<WorkerID> {
    Set(plan.fits(ofBlock: block).flatMap { record($0).hands })
  }

  /// Workers that had a hand in making the block.
  func makers(ofBlock block: Int) -> Set<WorkerID> {
    fitters(ofBlock: block).union(plan.isTuned ? record(.tune(block: block)).hands : [])
  }

  /// Those that had a hand in the block, if there is another to verify it.
  private func makersToSpare(_ verify: TaskID) -> Set<WorkerID> {
    let makers = makers(ofBlock: verify.block)
    let hasOther = workers.keys.contains { !makers.contains($0) && suits(verify, $0) }
    return hasOther ? makers : []
  }
}
