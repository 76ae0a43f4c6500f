import Checkpoint
import Numerics
import TestSupport
import Testing
import Transformer

@Suite struct RepairCollectorTests {
  private let team = ThreadTeam(threads: 2)

  private typealias Setting = (changed: DecoderBlock, hidden: HiddenStates, expected: HiddenStates)

  private func setting(_ name: String) throws -> Setting {
    let golden = try GoldenModel(name)
    return try setting(
      golden.model.loadBlock(0, from: golden.checkpoint),
      golden.model.embed(tokens: golden.tokens, from: golden.checkpoint))
  }

  private func setting(_ original: DecoderBlock, _ embedded: HiddenStates) throws -> Setting {
    var changed = original
    for role in LinearRole.allCases where role != .repairing {
      changed[role].weight.values = changed[role].weight.values.enumerated().map { $1 * ($0 % 3 == 0 ? 0.5 : 1.1) }
    }
    // The packed blocks before it have changed what the block sees, too.
    var hidden = embedded
    for index in hidden.values.indices { hidden.values[index] *= index % 2 == 0 ? 0.9 : 1.05 }
    return (changed, hidden, try original.output(of: embedded, team: team))
  }

  @Test(arguments: ["gqa-tied", "mqa-biases"]) func sumsAreTheirDefinition(name: String) throws {
    try expectDefinition(setting(name))
  }

  /// Wider than a band of the outputs, the last of which is not whole.
  @Test func sumsOfAWideModelAreTheirDefinition() throws {
    let random = try RandomModel(hiddenSize: 152, intermediateSize: 40, sequences: 2, length: 7, seed: 61)
    try expectDefinition(setting(random.block, random.hidden))
  }

  private func expectDefinition(_ setting: Setting) throws {
    let (changed, hidden, expected) = setting
    let collector = RepairCollector(changed)
    var calls: [Int] = []
    try collector.add(hidden, expected: expected, team: team) { calls.append($0) }
    #expect(calls == Array(0..<hidden.sequences))
    let (gram, loss) = try collector.partials()

    let recorder = SiteRecorder([.mlpHidden])
    let got = try changed.output(of: hidden, team: team, observer: recorder)
    let activations = try #require(recorder.values[.mlpHidden])
    let width = changed.shape.intermediateSize
    #expect(gram.width == width && gram.tokenCount == hidden.rows && loss.tokenCount == hidden.rows)
    #expect(loss.rows == hidden.width && loss.columns == width)
    // Each position counts by the inverse of its output's norm.
    let weights = (0..<hidden.rows).map { row -> Double in
      let output = expected.values[row * hidden.width..<(row + 1) * hidden.width]
      return 1 / output.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    var largest: Float = 0
    for o in 0..<hidden.width {
      for c in 0..<width {
        var sum = 0.0
        for row in 0..<hidden.rows {
          let missing = expected.values[row * hidden.width + o] - got.values[row * hidden.width + o]
          sum += weights[row] * Double(missing) * Double(activations[row * width + c])
        }
        #expect(abs(Double(loss.values[o * width + c]) - sum) < 1e-4 * max(1, abs(sum)))
        largest = max(largest, abs(loss.values[o * width + c]))
      }
    }
    #expect(largest > 1e-3, "the changed block lacks something")
    var upper: [Double] = []
    for r in 0..<width {
      for c in r..<width {
        var sum = 0.0
        for row in 0..<hidden.rows {
          sum += weights[row] * Double(activations[row * width + r]) * Double(activations[row * width + c])
        }
        upper.append(sum)
      }
    }
    // No product of two channels is larger than the largest square.
    let size = upper.max() ?? 0
    #expect(size > 0 && worstDifference(gram.upper, upper) < 1e-4 * size)
  }

  @Test func bytesDependNeitherOnThreadsNorOnTheBatch() throws {
    let (changed, hidden, expected) = try setting("long")
    let whole = RepairCollector(changed)
    try whole.add(hidden, expected: expected, team: ThreadTeam(threads: 1)) { _ in }
    let parts = RepairCollector(changed)
    for sequence in 0..<hidden.sequences {
      let range = sequence..<sequence + 1
      try parts.add(hidden.slice(range), expected: expected.slice(range), team: ThreadTeam(threads: 3)) { _ in }
    }
    #expect(try whole.partials().gram == parts.partials().gram)
    #expect(try whole.partials().loss == parts.partials().loss)
  }

  @Test func lossesOfShardsAddUp() throws {
    var sum = try OutputLoss(rows: 1, columns: 2, tokenCount: 3, values: [1, 2])
    try sum.add(try OutputLoss(rows: 1, columns: 2, tokenCount: 5, values: [7, 6]))
    #expect(sum.tokenCount == 8 && sum.mean.values == [1, 1])
    let other = try OutputLoss(rows: 2, columns: 1, tokenCount: 1, values: [1, 2])
    #expect(throws: TransformerError.self) { try sum.add(other) }
    for (rows, columns, tokens, values) in [
      (0, 1, 1, []), (1, 1, 0, [1]), (1, 2, 1, [1]), (1, 1, 1, [Float.nan]), (Int.max, 2, 1, [1]),
    ] as [(Int, Int, Int, [Float])] {
      #expect(throws: TransformerError.self) {
        try OutputLoss(rows: rows, columns: columns, tokenCount: tokens, values: values)
      }
    }
  }
}
