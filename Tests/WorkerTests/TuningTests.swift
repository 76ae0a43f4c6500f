import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Numerics
import TestSupport
import Testing
import Transformer
import Worker

/// A small random block, packed by a fit, with what it should make of random inputs.
private struct SmallBlock {
  let fitted: PackedBlock
  let examples: TuneExamples

  init(seed: UInt64 = 7, sequences: Int = 9, length: Int = 12) throws {
    var random = RandomStream(seed: seed, key: "small block")
    let small = try SmallModel(&random, blocks: 1)
    let original = try small.model.loadBlock(0, from: small.source)
    let count = sequences * length * 32
    let inputs = try HiddenStates(
      sequences: sequences, length: length, width: 32, values: (0..<count).map { _ in random.normal() })
    fitted = small.packed[0]
    examples = TuneExamples(inputs: inputs, targets: try original.output(of: inputs, team: ThreadTeam(threads: 2)))
  }

  /// Two sequences each: four to step on, one of the last sequence to validate on.
  private static func batches(of examples: TuneExamples) -> MicroBatches {
    let length = examples.inputs.length
    return MicroBatches(fitted: examples.inputs.sequences - 1, heldOut: 1, length: length, positions: 2 * length)
  }

  func tune(
    _ options: TuneOptions, threads: Int = 2, examples: TuneExamples? = nil,
    progress: @escaping (String) throws -> Void = { _ in }
  ) throws -> TuneOutcome {
    try BlockTuner(options, team: ThreadTeam(threads: threads), progress: progress)
      .tune(fitted, on: examples ?? self.examples, Self.batches(of: examples ?? self.examples))
  }
}

@Suite struct TuningTests {
  private let team = ThreadTeam(threads: 2)

  /// Along a random direction of each codebook and of the scales, the loss changes as the gradient says.
  @Test func gradientsAreThoseOfFiniteDifferences() throws {
    let small = try SmallBlock()
    let options = TuneOptions(epochs: 1)
    let parameters = TunedBlock(small.fitted, options)
    let tape = try parameters.block(team: team).record(small.examples.inputs, team: team)
    let loss = BlockLoss(target: small.examples.targets)
    let gradient = loss.gradient(tape.output, scale: 1, team: team).gradient
    try parameters.block(team: team).backward(tape, outputGradient: gradient, team: team, into: parameters)

    for role in LinearRole.allCases {
      let linear = try #require(parameters.tuned[role])
      let places = linear.codebooks.indices.map { \TunedLinear.codebooks[$0] } + [\TunedLinear.scales]
      for (part, place) in places.enumerated() {
        let vector = linear[keyPath: place]
        var random = RandomStream(seed: 3, key: "\(role) \(part)")
        let direction = vector.values.map { _ in random.normal() }
        let step = 3e-3 * vector.values.reduce(Float(0)) { max($0, abs($1)) }
        let losses = try [step, -step].map { step in
          var changed = linear
          changed[keyPath: place] = TunedVector(
            zip(vector.values, direction).map { $0 + step * $1 }, relativeRate: 0)
          var block = parameters.block(team: team)
          block[role] = Linear(weight: changed.weight(team: team), bias: block[role].bias)
          return loss.sum(try block.output(of: small.examples.inputs, team: team), team: team)
        }
        let measured = (losses[0] - losses[1]) / Double(2 * step)
        let expected = zip(vector.gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let size = vector.gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(size > 0, "\(role) \(part) has no gradient")
        #expect(abs(measured - expected) < 0.03 * size, "\(role) \(part): \(measured), expected \(expected)")
      }
    }
  }

  /// ‖y - t‖² / ‖t‖² of every position, however large its target is, and 2 (y - t) / ‖t‖² as its slope.
  @Test func theLossIsTheSumOverPositionsOfTheShareThatIsLost() throws {
    var random = RandomStream(seed: 13, key: "block loss")
    // More positions than a piece of parallel work has.
    let (sequences, length, width) = (3, 50, 6)
    let sizes: [Float] = [0.01, 1, 30]
    func states() throws -> HiddenStates {
      let values = (0..<sequences * length * width).map { sizes[$0 / width % 3] * random.normal() }
      return try HiddenStates(sequences: sequences, length: length, width: width, values: values)
    }
    let (output, target) = (try states(), try states())
    var (sum, slopes) = (0.0, [Double]())
    for row in 0..<sequences * length {
      let pairs = (row * width..<(row + 1) * width).map { (Double(output.values[$0]), Double(target.values[$0])) }
      let lost = pairs.reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      let energy = pairs.reduce(0.0) { $0 + $1.1 * $1.1 }
      sum += lost / energy
      slopes += pairs.map { 2 * ($0.0 - $0.1) / energy }
    }
    let loss = BlockLoss(target: target)
    #expect(abs(loss.sum(output, team: team) - sum) < 1e-5 * sum)
    let (sameSum, gradient) = loss.gradient(output, scale: 0.5, team: team)
    #expect(sameSum == loss.sum(output, team: team))
    for (slope, expected) in zip(gradient.values, slopes) {
      #expect(abs(Double(slope) - 0.5 * expected) <= 1e-4 * abs(expected))
    }
  }

  @Test func theWeightIsThatOfThePackedLinearBeforeRounding() throws {
    let small = try SmallBlock()
    for (role, packed) in small.fitted.linears {
      let weight = TunedLinear(packed, TuneOptions(epochs: 1)).weight(team: team)
      let decoded = packed.decode()
      let worst = worstDifference(weight.values, decoded.values)
      #expect(worst < 1e-3, "\(role): \(worst)")
    }
  }

  @Test func aTuneLowersTheValidationLossAndKeepsTheCodes() throws {
    let small = try SmallBlock()
    let outcome = try small.tune(TuneOptions(epochs: 6))
    let block = try #require(outcome.block)
    #expect(outcome.lossAfter < 0.95 * outcome.lossBefore, "\(outcome.lossBefore) to \(outcome.lossAfter)")
    #expect(!outcome.diverged)
    for (role, packed) in block.linears {
      let before = try #require(small.fitted.linears[role])
      #expect(packed.codes == before.codes && packed.criticalCodes == before.criticalCodes)
      #expect(packed.codebooks != before.codebooks && packed.scales != before.scales)
      #expect(block.block[role].weight == packed.decode())
    }
    #expect(block.block.inputNorm != small.fitted.block.inputNorm)
    #expect(block.block[.query].bias != small.fitted.block[.query].bias)
    // What is kept is what was validated: the values that binary16 holds.
    #expect(Half.widen(Half.narrow(block.block.inputNorm)) == block.block.inputNorm)
  }

  @Test func aTuneThatImprovesNothingChangesNothing() throws {
    let small = try SmallBlock()
    var options = TuneOptions(epochs: 20)
    options.codebookRate = 3
    options.scaleRate = 3
    options.normRate = 3
    let outcome = try small.tune(options)
    #expect(outcome.block == nil && !outcome.diverged)
    #expect(outcome.lossAfter == outcome.lossBefore)
    #expect(outcome.epochs == options.patience, "the tune ends when it was patient enough")
  }

  @Test func aLossThatIsNotANumberEndsTheTuneAndKeepsTheFittedBlock() throws {
    let small = try SmallBlock()
    var inputs = small.examples.inputs
    // In the first sequence, which is not one of those validated on.
    inputs.values[0] = .nan
    let examples = TuneExamples(inputs: inputs, targets: small.examples.targets)
    let outcome = try small.tune(TuneOptions(epochs: 3), examples: examples)
    #expect(outcome.diverged && outcome.block == nil)
    #expect(outcome.lossAfter == outcome.lossBefore && outcome.lossBefore.isFinite)
  }

  @Test func theResultIsTheSameBytesForAnyNumberOfThreads() throws {
    let small = try SmallBlock()
    let outcomes = try [1, 2, 3].map { try small.tune(TuneOptions(epochs: 2), threads: $0) }
    for outcome in outcomes {
      #expect(outcome.block?.linears == outcomes[0].block?.linears)
      #expect(outcome.block?.block.inputNorm == outcomes[0].block?.block.inputNorm)
      #expect(outcome.lossAfter == outcomes[0].lossAfter)
    }
    #expect(outcomes[0].block != nil)
  }

  @Test func aCancelledTuneEnds() throws {
    let small = try SmallBlock()
    var calls = 0
    #expect(throws: TaskError.cancelled) {
      try small.tune(TuneOptions(epochs: 3)) { _ in
        calls += 1
        if calls == 4 { throw TaskError.cancelled }
      }
    }
  }
}
