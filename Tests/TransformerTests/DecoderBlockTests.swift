import Numerics
import TestSupport
import Testing
import Transformer

@Suite struct DecoderBlockTests {
  private let team = ThreadTeam(threads: 2)

  @Test(arguments: ["long", "mqa-biases"]) func bytesDependNeitherOnThreadsNorOnTheBatch(name: String) throws {
    let golden = try GoldenModel(name)
    let block = try golden.model.loadBlock(1, from: golden.checkpoint)
    let sequence = Array(golden.tokens[0])
    let batch = try golden.model.embed(
      tokens: [sequence, sequence.reversed(), sequence, sequence.reversed()], from: golden.checkpoint)
    let expected = try block.output(of: batch, team: ThreadTeam(threads: 1))
    for threads in [2, 3] {
      #expect(try block.output(of: batch, team: ThreadTeam(threads: threads)) == expected)
    }
    for index in 0..<4 {
      #expect(try block.output(of: batch.slice(index..<index + 1), team: team) == expected.slice(index..<index + 1))
    }
  }

  /// Memory decides how many sequences go through together, and nothing else.
  @Test(arguments: [[Site.attentionOutput], [.attentionInput, .mlpHidden]])
  func groupsOfSequencesGiveTheBytesOfAllTogether(sites: [Site]) throws {
    let golden = try GoldenModel("gqa-tied")
    let (block, shape) = (try golden.model.loadBlock(0, from: golden.checkpoint), golden.model.shape)
    let sequence = golden.tokens[0]
    let batch = try golden.model.embed(
      tokens: (0..<4).map { Array(sequence[$0...]) + Array(sequence[..<$0]) }, from: golden.checkpoint)
    let together = SiteRecorder(Set(sites))
    let expected = try block.output(of: batch, team: team, observer: together)
    // What the heads attended takes the place of the queries.
    let observed = sites.reduce(0) { $0 + ($1 == .attentionOutput ? 0 : shape.width(of: $1)) }
    let ofOne = MemoryLayout<Float>.stride * batch.length * (shape.queryWidth + 2 * shape.keyValueWidth + observed)
    let limits: [(bytes: Int, groups: [Int])] = [
      (1, [1, 1, 1, 1]), (2 * ofOne - 1, [1, 1, 1, 1]), (3 * ofOne - 1, [2, 2]), (3 * ofOne, [3, 1]), (4 * ofOne, [4]),
    ]
    for (bytes, groups) in limits {
      let recorder = SiteRecorder(Set(sites))
      var hidden = batch
      try block.forward(&hidden, team: team, observer: recorder, workingBytes: bytes)
      #expect(hidden == expected && recorder.values == together.values, "\(groups)")
      for site in sites { #expect(recorder.groups[site] == groups) }
    }
  }

  @Test(arguments: GoldenModel.names) func activationsOfEachSiteFeedTheirLinears(name: String) throws {
    let golden = try GoldenModel(name)
    let block = try golden.model.loadBlock(0, from: golden.checkpoint)
    let input = try golden.model.embed(tokens: golden.tokens, from: golden.checkpoint)
    let recorder = SiteRecorder(Set(Site.allCases))
    let output = try block.output(of: input, team: team, observer: recorder)
    // The output of the block, rebuilt from the activations in front of the two linears that end in it.
    var rebuilt = input.values
    for (role, site) in [(LinearRole.output, Site.attentionOutput), (.down, .mlpHidden)] {
      let linear = block[role]
      let activations = try #require(recorder.values[site])
      #expect(activations.count == input.rows * linear.weight.columns)
      for row in 0..<input.rows {
        for out in 0..<linear.weight.rows {
          var sum = linear.bias?[out] ?? 0
          for column in 0..<linear.weight.columns {
            sum += linear.weight[out, column] * activations[row * linear.weight.columns + column]
          }
          rebuilt[row * input.width + out] += sum
        }
      }
    }
    #expect(worstDifference(rebuilt, output.values) < 1e-4)
    // Observing changes nothing, whichever sites are asked for.
    #expect(try block.output(of: input, team: team) == output)
    for site in Site.allCases {
      let one = SiteRecorder([site])
      #expect(try block.output(of: input, team: team, observer: one) == output)
      #expect(one.values == [site: recorder.values[site] ?? []])
    }
  }

  @Test func collectedGramsAreThoseOfTheActivations() throws {
    let golden = try GoldenModel("gqa-tied")
    let block = try golden.model.loadBlock(0, from: golden.checkpoint)
    let input = try golden.model.embed(tokens: golden.tokens, from: golden.checkpoint)
    let recorder = SiteRecorder(Set(Site.allCases))
    _ = try block.output(of: input, team: team, observer: recorder)
    let collector = GramCollector(shape: golden.model.shape)
    _ = try block.output(of: input, team: team, observer: collector)
    for site in Site.allCases {
      let accumulator = GramAccumulator(width: golden.model.shape.width(of: site))
      accumulator.add(
        try #require(recorder.values[site]), sequences: input.sequences, length: input.length, team: team)
      #expect(try collector.partial(site) == accumulator.partial())
    }
    let some = GramCollector(sites: [.mlpInput], shape: golden.model.shape)
    _ = try block.output(of: input, team: team, observer: some)
    #expect(try some.partial(.mlpInput) == collector.partial(.mlpInput))
    #expect(throws: TransformerError.self) { try some.partial(.mlpHidden) }
  }

  @Test func aReplacedLinearIsUsed() throws {
    let golden = try GoldenModel("gqa-tied")
    var block = try golden.model.loadBlock(0, from: golden.checkpoint)
    let input = try golden.model.embed(tokens: golden.tokens, from: golden.checkpoint)
    for role in [LinearRole.output, .down] {
      let weight = block[role].weight
      block[role] = Linear(weight: Matrix(rows: weight.rows, columns: weight.columns))
    }
    #expect(try block.output(of: input, team: team) == input)
  }

  @Test func unfitHiddenStatesAreRefused() throws {
    let golden = try GoldenModel("gqa-tied")
    let block = try golden.model.loadBlock(0, from: golden.checkpoint)
    let narrow = try HiddenStates(sequences: 1, length: 2, width: 3, values: [1, 2, 3, 4, 5, 6])
    #expect(throws: TransformerError(.invalidInput, "block 0: expected hidden states of width 32, got 3")) {
      try block.output(of: narrow, team: team)
    }
    #expect(throws: TransformerError.self) { try HiddenStates(sequences: 1, length: 2, width: 3, values: [1]) }
    #expect(throws: TransformerError.self) { try HiddenStates(sequences: .max, length: 2, width: 3, values: [1]) }
    #expect(throws: TransformerError.self) { try HiddenStates(sequences: 0, length: 2, width: 3, values: []) }
  }
}
