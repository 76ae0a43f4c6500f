import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `fit(b, l)`: sums the partial Grams of the linear's site and fits the linear.
struct FitTask {
  let block: Int
  let linear: LinearSpec

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let gram = try environment.grams.gram(linear.site, environment.inputs, control: environment.control)
    let weight = try environment.job.checkpoint.matrix(
      linear.tensorName(block: block), rows: linear.outFeatures, columns: linear.inFeatures)
    let rounds = Double(environment.job.fit.maximumRounds)
    let fitted = try CRVQ.fit(
      weight: weight, gram: gram, options: environment.job.fit, streamKey: "block \(block) \(linear.name)",
      team: environment.team
    ) { round, error in
      (try? environment.control.progress(Double(round) / rounds, "round \(round)")) != nil
    }
    return TaskOutcome(result: .fit(WireFitResult(fitted)), outputs: [try store(fitted.packed, environment)])
  }

  /// The packed tensors under their names in the model, as a safetensors file.
  private func store(_ packed: PackedLinear, _ environment: TaskEnvironment) throws -> WireArtifactRef {
    let path = environment.store.stagingPath()
    try packed.write(prefix: linear.path(block: block), to: path)
    return WireArtifactRef(name: ArtifactRef.packedName, try environment.store.put(movingFileAt: path))
  }
}

extension WireFitResult {
  fileprivate init(_ fitted: FitResult) {
    self.init()
    relativeError = fitted.relativeError
    frobeniusError = fitted.frobeniusError
    bits.codes = fitted.bits.codes
    bits.codebooks = fitted.bits.codebooks
    bits.scales = fitted.bits.scales
    bits.channelOrder = fitted.bits.channelOrder
    rounds = UInt32(clamping: fitted.rounds)
    seconds = fitted.seconds
  }
}
