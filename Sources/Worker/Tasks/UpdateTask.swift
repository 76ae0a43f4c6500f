import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `update(k)`: adds up what the micro-batches of a step gave, in their order, and takes the step: down the gradients, or a
/// judgement of the parameters as they are. The one that ends the distillation leaves the best there were.
struct UpdateTask {
  let step: Int
  let distillation: Distillation

  /// - Throws: ``TaskError``, ``CheckpointError``, ``ArtifactError``.
  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    var parameters = try parameters(environment)
    try take(&parameters, environment)
    let isLast = parameters.course.isOver || step == distillation.stepCount - 1
    let artifact =
      isLast ? try parameters.putBest(into: environment.store) : try parameters.put(into: environment.store)
    var result = WireUpdateResult()
    result.lossBefore = Double(parameters.course.lossBefore)
    result.lossAfter = Double(parameters.course.lossAfter)
    result.epochs = UInt32(max(0, parameters.course.losses.count - 1))
    result.bestEpoch = UInt32(parameters.course.bestEpoch)
    result.isLast = isLast
    return TaskOutcome(
      result: .update(result),
      outputs: [WireArtifactRef(name: isLast ? ArtifactRef.distilledName : ArtifactRef.parametersName, artifact)])
  }

  private func parameters(_ environment: TaskEnvironment) throws -> DistilledParameters {
    let job = environment.job
    let tensors = (0..<job.model.blockCount).map {
      job.model.distilledTensors(ofBlock: $0, job.fit.format, job.tune)
    }
    if let before = try environment.parameters() {
      return try DistilledParameters(tensors.flatMap { $0 }, from: before)
    }
    var values: [String: [Float]] = [:]
    for (block, tensors) in tensors.enumerated() {
      try environment.control.progress("parameters of block \(block)")
      let source = try environment.blocks.tensors(block, environment.inputs, team: environment.team)
      for tensor in tensors { values[tensor.name] = try source.floats(tensor.name) }
    }
    return try DistilledParameters(tensors.flatMap { $0 }) { values[$0] ?? [] }
  }

  private func take(_ parameters: inout DistilledParameters, _ environment: TaskEnvironment) throws {
    let options = environment.job.tune
    let gradients = try environment.inputs.all(ArtifactRef.gradientName).map { input in
      try environment.control.progress("micro-batch \(input.index)")
      return try environment.inputs.file(input)
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
}
