import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `distill(k, m)`: runs the packed model on one micro-batch of a step and leaves what the step's update adds up.
struct DistillTask {
  let step: Int
  let batch: Int
  let distillation: Distillation

  private static let lossName = "loss"

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let parameters = try environment.parameters()
    let sequences = sequences(seed: environment.job.tune.seed)
    let positions = sequences.count * environment.job.tokens.length
    let made = try make(sequences, parameters, environment)
    let loss = FloatTensor(
      name: Self.lossName, shape: [2], values: .float32([Float(made.loss), Float(positions)]))
    let artifact = try FloatTensor.put(made.tensors + [loss], into: environment.store)
    var result = WireDistillResult()
    result.loss = made.loss / Double(positions)
    return TaskOutcome(
      result: .distill(result), outputs: [WireArtifactRef(name: ArtifactRef.gradientName, artifact)])
  }

  private func make(
    _ sequences: Range<Int>, _ parameters: SafetensorsFile?, _ environment: TaskEnvironment
  ) throws -> DistillationPass.Gradients {
    // The steps that are left change nothing.
    if let parameters, try DistilledParameters.course(of: parameters).isOver {
      return DistillationPass.Gradients(loss: 0, tensors: [])
    }
    let pass = DistillationPass(sequences: sequences, parameters: parameters, environment: environment)
    switch distillation[step] {
    case .validation: return DistillationPass.Gradients(loss: try pass.validate(), tensors: [])
    case .descent: return try pass.gradients()
    }
  }

  private func sequences(seed: UInt64) -> Range<Int> {
    switch distillation[step] {
    case .validation: return distillation.validation[batch]
    case .descent(_, let epoch, let batches):
      var random = RandomStream(seed: seed, key: "distillation epoch \(epoch)")
      return random.shuffled(distillation.training)[batches.lowerBound + batch]
    }
  }

  /// The loss of a micro-batch, summed over so many positions.
  static func loss(of gradients: SafetensorsFile) throws -> (sum: Double, positions: Double) {
    let values = try gradients.floats(lossName)
    guard values.count == 2, values[1] > 0 else {
      throw TaskError.other("\(gradients.path(of: lossName)) has no loss of a micro-batch")
    }
    return (Double(values[0]), Double(values[1]))
  }
}

extension TaskEnvironment {
  /// The parameters that the step before left; nil before the first step.
  func parameters() throws -> SafetensorsFile? {
    try inputs.find(ArtifactRef.parametersName, shard: 0).map {
      try SafetensorsFile(path: store.verifiedPath(inputs.fetch($0)))
    }
  }
}
