import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `update(k)`: adds up what the micro-batches of a step gave, in their order, and takes the step: down the gradients, or a
/// judgement of the parameters as they are. The last one leaves the best there were.
struct UpdateTask {
  let step: Int
  let distillation: Distillation

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let options = environment.job.tune
    let before = try environment.parameters()
    var parameters = try parameters(before, environment)
    if !parameters.course.isOver {
      let gradients = try environment.inputs.all(ArtifactRef.gradientName).map { input in
        try environment.control.progress(0, "micro-batch \(input.shard)")
        return try SafetensorsFile(path: environment.store.verifiedPath(environment.inputs.fetch(input)))
      }
      let losses = try gradients.map(DistillTask.loss)
      let loss = losses.reduce(0) { $0 + $1.sum } / losses.reduce(0) { $0 + $1.positions }
      switch distillation[step] {
      case .validation: parameters.judge(Float(loss), patience: options.patience)
      case .descent where !loss.isFinite: parameters.course.diverge()
      case .descent(let number, _, _):
        var schedule = TuneSchedule(steps: distillation.descentCount, warmUp: options.warmUpSteps)
        schedule.advance(to: number)
        try parameters.descend(gradients, number: number, strength: schedule.strength, options)
      }
    }
    let isLast = step == distillation.stepCount - 1
    let artifact =
      isLast ? try parameters.putBest(into: environment.store) : try parameters.put(into: environment.store)
    return TaskOutcome(
      result: .update(result(parameters.course)),
      outputs: [
        WireArtifactRef(name: isLast ? ArtifactRef.distilledName : ArtifactRef.parametersName, artifact)
      ])
  }

  private func parameters(_ before: SafetensorsFile?, _ environment: TaskEnvironment) throws -> DistilledParameters {
    let job = environment.job
    let blocks = try (0..<job.model.blockCount).map { block in
      try environment.control.progress(0, "parameters of block \(block)")
      return try environment.blocks.tensors(block, environment.inputs)
    }
    let tensors = try blocks.enumerated().map {
      try job.model.distilledTensors(ofBlock: $0.offset, in: $0.element, job.tune)
    }
    if let before { return try DistilledParameters(tensors.flatMap { $0 }, from: before) }
    return DistilledParameters(
      try zip(blocks, tensors).flatMap { source, tensors in
        try tensors.map { ($0, try source.floats($0.name)) }
      })
  }

  private func result(_ course: DistillationCourse) -> WireUpdateResult {
    var result = WireUpdateResult()
    result.lossBefore = Double(course.lossBefore)
    result.lossAfter = Double(course.lossAfter)
    result.epochs = UInt32(max(0, course.losses.count - 1))
    result.bestEpoch = UInt32(course.bestEpoch)
    return result
  }
}
