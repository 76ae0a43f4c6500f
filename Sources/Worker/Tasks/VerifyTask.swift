import CRVQ
import JobGraph
import Messaging
import Numerics
import Transformer

/// `verify(b)`: decodes the merged bytes of a block and measures them on sequences no fit has seen.
struct VerifyTask {
  let block: Int

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let original = try environment.blocks.original(block)
    let packed = try environment.blocks.packed(block, environment.inputs, team: environment.team)
    var result = WireVerifyResult()
    for linear in environment.job.model.linears {
      try environment.control.progress(linear.name)
      result.linears.append(try measure(linear, original, packed, environment))
    }
    result.outputError = try outputError(original, packed, environment)
    return TaskOutcome(result: .verify(result), outputs: [])
  }

  private func measure(
    _ linear: LinearSpec, _ original: DecoderBlock, _ packed: DecoderBlock, _ environment: TaskEnvironment
  ) throws -> WireVerifiedLinear {
    let gram = try environment.grams.gram(of: linear, environment.inputs, control: environment.control)
    let (weight, decoded) = (original[linear.role].weight, packed[linear.role].weight)
    var measured = WireVerifiedLinear()
    measured.name = linear.name
    measured.heldOutError = relativeError(weight: weight, decoded: decoded, gram: gram, team: environment.team)
    measured.frobeniusError = frobeniusError(weight: weight, decoded: decoded)
    guard measured.heldOutError.isFinite, measured.frobeniusError.isFinite else {
      throw TaskError.badInput("block \(block) \(linear.name): its error on held-out tokens is not a number")
    }
    return measured
  }

  /// ‖y - ŷ‖² / ‖y‖² of the block's output, residual stream included, over all held-out shards.
  private func outputError(
    _ original: DecoderBlock, _ packed: DecoderBlock, _ environment: TaskEnvironment
  ) throws -> Double {
    var loss = EnergyLoss()
    let plan = environment.job.plan
    for shard in plan.shards.indices where plan.shards[shard].isHeldOut {
      let hidden = try environment.hiddenStates.hidden(plan.propagation.stream, block: block, shard: shard)
      let expected = try original.output(of: hidden, team: environment.team)
      try environment.control.progress("output")
      let got = try packed.output(of: hidden, team: environment.team)
      loss.add(expected.values, got.values)
    }
    guard loss.share.isFinite else {
      throw TaskError.badInput("the output of block \(block) on held-out tokens is not a number")
    }
    return loss.share
  }
}
