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

  /// - Throws: ``TaskError``; errors of reading model and tokens; ``ArtifactError``.
  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let (job, sequences) = (environment.job, sequences(seed: environment.job.tune.seed))
    let (parameters, tokens) = (try environment.parameters(), job.tokens(of: sequences))
    let expected = try environment.expected.states(of: sequences, environment)
    let pass = DistillationPass(
      job.model, source: job.original, job.tune, team: environment.team, control: environment.control,
      packed: { try environment.blocks.packedBlock($0, environment.inputs, team: environment.team) },
      values: parameters.map { file in { try file.floats($0) } })
    let made =
      switch distillation[step] {
      case .validation: DistillationPass.Gradients(loss: try pass.validate(tokens, expected: expected), tensors: [])
      case .descent: try pass.gradients(tokens, expected: expected)
      }
    let positions = sequences.count * job.tokens.length
    let loss = FloatTensor(
      name: Self.lossName, shape: [2], values: .float32([Float(made.loss), Float(positions)]))
    let artifact = try FloatTensor.put(made.tensors + [loss], into: environment.store)
    var result = WireCollectResult()
    result.tokens = UInt64(positions)
    return TaskOutcome(
      result: .collect(result), outputs: [WireArtifactRef(name: ArtifactRef.gradientName, artifact)])
  }

  private func sequences(seed: UInt64) -> Range<Int> {
    switch distillation[step] {
    case .validation: distillation.batches.validation[batch]
    case .descent(_, let epoch, let batches):
      distillation.batches.shuffled(epoch: epoch, seed: seed)[batches.lowerBound + batch]
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
    try inputs.find(ArtifactRef.parametersName, index: 0).map(inputs.file)
  }
}
