import JobGraph

/// What can be done of a job without some tasks: the dependencies once more, as a definition.
final class Attainable {
  let plan: JobPlan
  let without: Set<TaskID>
  /// What has been found out. Without it, each block would ask twice about the one before it.
  private var known: [TaskID: Bool] = [:]

  init(plan: JobPlan, without: Set<TaskID>) {
    self.plan = plan
    self.without = without
  }

  /// Whether the task can be done, ever.
  func contains(_ task: TaskID) -> Bool {
    if let answer = known[task] { return answer }
    let answer = !without.contains(task) && canBeTried(task)
    known[task] = answer
    return answer
  }

  /// Whether all that the task needs can be done.
  func canBeTried(_ task: TaskID) -> Bool {
    switch task {
    case .collect(0, _): true
    case .collect(let block, let shard):
      plan.propagation == .teacher ? contains(.collect(block: block - 1, shard: shard)) : isPacked(block - 1)
    case .recollect(let block, _):
      (block == 0 || isPacked(block - 1)) && firstFits(block).allSatisfy(contains)
    case .fit(let block, let linear):
      plan.linears[linear].site == plan.repairSite
        ? fitShards.allSatisfy { contains(.recollect(block: block, shard: $0)) } : collects(block, heldOut: false)
    case .tune(let block): isMerged(block) && (block == 0 || contains(.tune(block: block - 1)))
    case .distill(let step, _): isMade && (step == 0 || contains(.update(step: step - 1)))
    case .update(let step): batches(step).allSatisfy(contains)
    case .verify(let block): isPacked(block) && collects(block, heldOut: true) && isDistilled
    case .evaluate: true
    }
  }

  /// Whether something that can be done needs the task. A pass over a shard that no fit and no verification can use is not
  /// run.
  func isWanted(_ task: TaskID) -> Bool {
    let others = Attainable(plan: plan, without: without.subtracting([task]))
    switch task {
    case .collect(let block, let shard) where plan.shards[shard].isHeldOut:
      return others.contains(.verify(block: block))
    case .collect(let block, _): return firstFits(block).contains(where: others.contains)
    case .recollect(let block, _): return repairingFits(block).contains(where: others.contains)
    default: return true
    }
  }

  private var fitShards: [Int] { plan.shards.indices.filter { !plan.shards[$0].isHeldOut } }

  private func firstFits(_ block: Int) -> [TaskID] {
    plan.linears.indices.filter { plan.linears[$0].site != plan.repairSite }.map { .fit(block: block, linear: $0) }
  }

  private func repairingFits(_ block: Int) -> [TaskID] {
    plan.linears.indices.filter { plan.linears[$0].site == plan.repairSite }.map { .fit(block: block, linear: $0) }
  }

  private func collects(_ block: Int, heldOut: Bool) -> Bool {
    plan.shards.indices.allSatisfy {
      plan.shards[$0].isHeldOut != heldOut || contains(.collect(block: block, shard: $0))
    }
  }

  /// Whether all blocks can be.
  private var isMade: Bool { (0..<plan.blockCount).allSatisfy(isPacked) }

  private func batches(_ step: Int) -> [TaskID] {
    (0..<(plan.distillation?.batchCount(ofStep: step) ?? 0)).map { .distill(step: step, batch: $0) }
  }

  private var isDistilled: Bool {
    guard let distillation = plan.distillation else { return true }
    return isMade
      && (0..<distillation.stepCount).allSatisfy { step in
        batches(step).allSatisfy { !without.contains($0) } && !without.contains(.update(step: step))
      }
  }

  private func isMerged(_ block: Int) -> Bool {
    plan.linears.indices.allSatisfy { contains(.fit(block: block, linear: $0)) }
  }

  private func isPacked(_ block: Int) -> Bool { isMerged(block) && (!plan.isTuned || contains(.tune(block: block))) }
}
