/// Tasks that are given out no more, and those that wait for them in vain.
struct Quarantine: Sendable {
  var tasks: Set<TaskID> = []
  /// ``tasks``, and whatever cannot be done without them.
  var blocked: Set<TaskID> = []
}

/// A task that was given out no more, and the workers that were lost with it in hand.
public struct QuarantinedTask: Sendable, Equatable {
  public let task: TaskID
  public let workers: [WorkerID]

  public init(task: TaskID, workers: [WorkerID]) {
    self.task = task
    self.workers = workers
  }
}

extension Scheduler {
  mutating func quarantine(_ task: TaskID, _ actions: inout [SchedulerAction]) {
    update(task) { $0.state = .quarantined }
    quarantine.tasks.insert(task)
    findBlocked()
    actions.append(.quarantine(QuarantinedTask(task: task, workers: record(task).deaths)))
  }

  /// A worker that was lost is back, and the same process: whatever it had in hand did not kill it.
  mutating func exonerate(_ worker: WorkerID, _ actions: inout [SchedulerAction]) {
    for task in tasks.filter({ $0.value.deaths.contains(worker) }).keys.sorted() {
      update(task) { $0.deaths.removeAll { $0 == worker } }
      if record(task).state == .quarantined, record(task).deaths.count < policy.deathsPerTask {
        update(task) { $0.state = .pending }
        quarantine.tasks.remove(task)
        lowestOpenBlock = 0
        lowestOpenEvaluation = 0
        actions.append(.readmit(task))
      }
    }
    findBlocked()
  }

  var quarantined: [QuarantinedTask] {
    quarantine.tasks.sorted().map { QuarantinedTask(task: $0, workers: record($0).deaths) }
  }

  /// Whether nothing more can be done for the block: it is verified, or what is missing waits for a quarantined task.
  func isSettled(block: Int) -> Bool {
    if record(.verify(block: block)).isDone { return true }
    // Then it waits for the others, to be distilled with them.
    if !isDistilled, packed(block) != nil { return true }
    if quarantine.tasks.isEmpty { return false }
    let fits = plan.fits(ofBlock: block)
    if merged[block] == nil, fits.allSatisfy({ record($0).isDone }) { return false }
    let rest: [TaskID] = (plan.isTuned ? [.tune(block: block)] : []) + [.verify(block: block)]
    return (fits + rest).allSatisfy { record($0).isDone || quarantine.blocked.contains($0) }
  }

  /// The same for the evaluation of a shard.
  func isSettled(evaluation shard: Int) -> Bool {
    let task = TaskID.evaluate(shard: shard)
    return record(task).isDone || quarantine.tasks.contains(task)
  }

  /// Follows the dependencies from block to block.
  mutating func findBlocked() {
    quarantine.blocked = quarantine.tasks
    if quarantine.tasks.isEmpty { return }
    for block in 0..<plan.blockCount {
      for shard in plan.shards.indices where isCollectBlocked(block, shard) {
        markBlocked(.collect(block: block, shard: shard))
      }
      if isAnyBlocked(plan.fitShards.map { .collect(block: block, shard: $0) }) {
        for fit in plan.firstFits(ofBlock: block) { markBlocked(fit) }
      }
      findBlockedRepair(block)
      if plan.isTuned, isMergeBlocked(block) || block > 0 && isAnyBlocked([.tune(block: block - 1)]) {
        markBlocked(.tune(block: block))
      }
      if isPackBlocked(block) || isAnyBlocked(plan.heldOutShards.map { .collect(block: block, shard: $0) }) {
        markBlocked(.verify(block: block))
      }
    }
    findBlockedDistillation()
  }

  private mutating func findBlockedRepair(_ block: Int) {
    if plan.repairSite == nil { return }
    let recollects = plan.fitShards.map { TaskID.recollect(block: block, shard: $0) }
    if isAnyBlocked(plan.firstFits(ofBlock: block)) || block > 0 && isPackBlocked(block - 1) {
      for recollect in recollects { markBlocked(recollect) }
    }
    if isAnyBlocked(recollects) {
      for fit in plan.repairingFits(ofBlock: block) { markBlocked(fit) }
    }
  }

  mutating func markBlocked(_ task: TaskID) {
    if record(task).isPending { quarantine.blocked.insert(task) }
  }

  private func isAnyBlocked(_ tasks: [TaskID]) -> Bool { tasks.contains { quarantine.blocked.contains($0) } }
  private func isMergeBlocked(_ block: Int) -> Bool { isAnyBlocked(plan.fits(ofBlock: block)) }
  func isPackBlocked(_ block: Int) -> Bool {
    plan.isTuned ? isAnyBlocked([.tune(block: block)]) : isMergeBlocked(block)
  }

  /// The forward pass through the block before would meet what killed the workers there.
  private func isCollectBlocked(_ block: Int, _ shard: Int) -> Bool {
    if block == 0 { return false }
    if plan.propagation == .student, isPackBlocked(block - 1) { return true }
    return plan.propagation == .teacher && isAnyBlocked([.collect(block: block - 1, shard: shard)])
  }
}
