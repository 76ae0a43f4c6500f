// All blocks together, once they are all made and before any of them is verified.
extension Scheduler {
  /// Whether blocks are as they go into the output, once they are packed.
  var isDistilled: Bool { stepsDone == plan.distillation?.stepCount ?? 0 }

  /// The step of the distillation that is due; nil while a block is not made, and when all steps are done.
  private var openStep: Int? {
    guard !isDistilled, (0..<plan.blockCount).allSatisfy({ packed($0) != nil }) else { return nil }
    return stepsDone
  }

  func batches(ofStep step: Int) -> [TaskID] {
    (0..<(plan.distillation?.batchCount(ofStep: step) ?? 0)).map { .distill(step: step, batch: $0) }
  }

  /// Micro-batches of the step that is due, or its end.
  var readySteps: [TaskID] {
    // While the update runs it has what it needs; if it has not, it comes back.
    guard let step = openStep, record(.update(step: step)).isPending else { return [] }
    let update = TaskID.update(step: step)
    return batches(ofStep: step).filter(isOpen) + (isReady(update) ? [update] : [])
  }

  /// Whether the distillation goes on: a step is due, and something of it can be done.
  var isDistilling: Bool {
    guard let step = openStep else { return false }
    return (batches(ofStep: step) + [.update(step: step)]).contains {
      !quarantine.blocked.contains($0) && !record($0).isDone
    }
  }

  /// A step is in the store: what went into it is of no more use.
  mutating func didUpdate(_ step: Int, _ outputs: [ArtifactRef], _ actions: inout [SchedulerAction]) {
    updated = outputs.first
    // It may be over before its last epoch.
    stepsDone = updated?.name == ArtifactRef.distilledName ? plan.steps.upperBound : step + 1
    release(batches(ofStep: step), &actions) { _ in true }
    for step in step..<stepsDone {
      // Nobody will ask for them again, whoever made them and whatever becomes of those.
      for task in batches(ofStep: step) + [.update(step: step)] {
        update(task) {
          $0.state = .done
          $0.worker = nil
        }
      }
    }
    // Now blocks can be verified.
    if isDistilled { lowestOpenBlock = 0 }
  }

  /// Marks what waits in vain for a block that cannot be made, or for a step that cannot be done.
  mutating func findBlockedDistillation() {
    guard plan.distillation != nil, !isDistilled else { return }
    let isAnyBlockMissing = (0..<plan.blockCount).contains { packed($0) == nil && isPackBlocked($0) }
    let isStuck = quarantine.tasks.contains { $0.kind == .distill || $0.kind == .update }
    guard isAnyBlockMissing || isStuck else { return }
    for step in stepsDone..<plan.steps.upperBound {
      // The batches of the step that is due go on without one another, but not without the update.
      let isInVain = isAnyBlockMissing || step > stepsDone || quarantine.tasks.contains(.update(step: step))
      if isInVain { for batch in batches(ofStep: step) { markBlocked(batch) } }
      markBlocked(.update(step: step))
    }
    for block in 0..<plan.blockCount { markBlocked(.verify(block: block)) }
  }

  /// What the step before left.
  func parametersInput(before step: Int) -> [TaskInput] { step == 0 ? [] : updatedInput(ArtifactRef.parametersName) }

  /// What takes the place of tensors of the packed blocks, in a job that distills and has.
  var distilledInput: [TaskInput] {
    plan.distillation != nil && isDistilled ? updatedInput(ArtifactRef.distilledName) : []
  }

  private func updatedInput(_ name: String) -> [TaskInput] {
    updated.map {
      [TaskInput(index: 0, artifact: ArtifactRef(name: name, digest: $0.digest, size: $0.size), holder: .coordinator)]
    } ?? []
  }
}

extension JobPlan {
  /// The steps of the distillation; none if there is none.
  var steps: Range<Int> { 0..<(distillation?.stepCount ?? 0) }
}
