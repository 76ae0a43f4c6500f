import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `tune(b)`: adjusts the real-valued parameters of a merged block so that, on the stream of the packed blocks before it, it
/// gives what the original block would.
struct TuneTask {
  let block: Int

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let started = ContinuousClock.now
    let (job, team) = (environment.job, environment.team)
    guard let batches = job.batches else {
      throw TaskError.badInput("the job holds no sequence out to judge a tune by")
    }
    var stream = try environment.sweep.take(block: block, batches.sequences, environment)
    let targets = try environment.blocks.original(block).output(of: stream, team: team)
    let fitted = try environment.blocks.packedBlock(block, environment.inputs, team: team)
    let tuner = BlockTuner(job.tune, team: team) { try environment.control.progress($0) }
    let outcome = try tuner.tune(fitted, on: TuneExamples(inputs: stream, targets: targets), batches)

    let artifact = try outcome.block.map { try store($0, environment) } ?? unchanged(environment)
    try (outcome.block ?? fitted).block.forward(&stream, team: team)
    try environment.control.progress("storing")
    // Behind the last block nobody asks for it.
    if block + 1 < job.model.blockCount {
      environment.sweep.keep(stream, after: block, packedAs: artifact.digest, environment)
    }

    var result = WireTuneResult()
    result.lossBefore = outcome.lossBefore
    result.lossAfter = outcome.diverged ? .nan : outcome.lossAfter
    result.epochs = UInt32(clamping: outcome.epochs)
    result.changed = outcome.block != nil
    result.seconds = (ContinuousClock.now - started) / .seconds(1)
    return TaskOutcome(result: .tune(result), outputs: [WireArtifactRef(name: ArtifactRef.packedName, artifact)])
  }

  /// A tune that changed nothing gives back the merged block itself.
  private func unchanged(_ environment: TaskEnvironment) throws -> Artifact {
    guard let artifact = environment.inputs.find(ArtifactRef.packedName, index: block)?.ref.artifact else {
      throw TaskError.other("the task came without its merged block")
    }
    return artifact
  }

  /// As the merged block lies, with the norms and biases behind the linears, all as binary16.
  private func store(_ packed: PackedBlock, _ environment: TaskEnvironment) throws -> Artifact {
    let model = environment.job.model
    let linears = model.linears.flatMap { spec in
      packed.linears[spec.role]?.encoded(prefix: spec.path(block: block)) ?? []
    }
    let others = model.otherTensors(ofBlock: block).map { ($0, Half.narrow(packed.values(of: $0, in: model))) }
    let declared =
      linears.map(\.declaration)
      + others.map { TensorDeclaration(name: $0.0.name, elementType: .float16, shape: $0.0.shape) }
    return try environment.store.put(declared) { writer in
      try writer.append(linears)
      for (tensor, bits) in others { try writer.append(bits, to: tensor.name) }
    }
  }
}

extension PackedBlock {
  /// The norm or bias that a tensor of the model names.
  fileprivate func values(of tensor: TensorSpec, in model: LanguageModel) -> [Float] {
    for spec in model.linears where spec.biasName(block: block.index) == tensor.name {
      return block[spec.role].bias ?? []
    }
    return tensor == model.inputNormTensor(ofBlock: block.index) ? block.inputNorm : block.mlpNorm
  }
}
