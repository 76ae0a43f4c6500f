import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Numerics
import Transformer

/// `fit(b, l)`: sums the partial Grams of the linear's site and fits the linear; the repairing one not to its own weight, but to
/// the one that makes up for what the others lost.
struct FitTask {
  let block: Int
  let linear: LinearSpec

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let gram = try environment.grams.gram(of: linear, environment.inputs, control: environment.control)
    let weight = try environment.job.original.matrix(
      linear.tensorName(block: block), rows: linear.outFeatures, columns: linear.inFeatures)
    let target = try target(weight, gram, environment)
    var fitted = try fit(target ?? weight, gram, environment)
    if target != nil {
      // Reported is how far the linear is from the original one, as of all others.
      let decoded = fitted.packed.decode(team: environment.team)
      fitted.relativeError = relativeError(weight: weight, decoded: decoded, gram: gram, team: environment.team)
      fitted.frobeniusError = frobeniusError(weight: weight, decoded: decoded)
    }
    guard fitted.relativeError.isFinite, fitted.frobeniusError.isFinite else {
      throw TaskError.badInput("block \(block) \(linear.name): the error of its fit is not a number")
    }
    return TaskOutcome(result: .fit(WireFitResult(fitted)), outputs: [try store(fitted.packed, environment)])
  }

  private func fit(_ weight: Matrix, _ gram: Matrix, _ environment: TaskEnvironment) throws -> FitResult {
    do {
      return try CRVQ.fit(
        weight: weight, gram: gram, options: environment.job.fit, streamKey: "block \(block) \(linear.name)",
        team: environment.team
      ) { round, _ in
        (try? environment.control.progress("round \(round)")) != nil
      }
    } catch let error as CRVQError where error.kind == .input {
      let name = linear.tensorName(block: block)
      throw CRVQError(.input, "\(environment.job.original.path(of: name)): tensor \(name): \(error.message)")
    }
  }

  /// What the repairing linear is fitted to; nil for the others, and for one of zeros, which stays that.
  private func target(_ weight: Matrix, _ gram: Matrix, _ environment: TaskEnvironment) throws -> Matrix? {
    guard environment.job.repairs, linear.role == .repairing, weight.values.contains(where: { $0 != 0 }) else {
      return nil
    }
    let source = RepairSource(linear: linear, environment: environment)
    return repairedWeight(
      weight, from: try source.whole(gram), judgedOn: try source.part(), team: environment.team)
  }

  /// The packed tensors under their names in the model, as a safetensors file.
  private func store(_ packed: PackedLinear, _ environment: TaskEnvironment) throws -> WireArtifactRef {
    let tensors = packed.encoded(prefix: linear.path(block: block))
    let artifact = try environment.store.put(tensors.map(\.declaration)) { try $0.append(tensors) }
    return WireArtifactRef(name: ArtifactRef.packedName, artifact)
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
