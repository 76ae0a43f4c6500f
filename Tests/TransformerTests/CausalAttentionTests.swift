import Foundation
import Numerics
import TestSupport
import Testing
import Transformer

@Suite struct CausalAttentionTests {
  /// (heads, key-value heads, head dimension): one key-value head a head, groups, one for all, more heads than rows a tile.
  struct Heads: CustomTestStringConvertible {
    let heads: Int
    let keyValueHeads: Int
    let dimension: Int
    var testDescription: String { "\(heads)/\(keyValueHeads)×\(dimension)" }

    static let all = [(1, 1, 2), (3, 3, 6), (6, 2, 10), (4, 1, 8), (40, 1, 2)].map {
      Heads(heads: $0.0, keyValueHeads: $0.1, dimension: $0.2)
    }
  }

  private struct Inputs {
    var queries: [Float]
    let keys: [Float]
    let values: [Float]

    init(_ heads: Heads, rows: Int) {
      var random = RandomStream(seed: 21, key: "\(heads.testDescription) \(rows)")
      queries = (0..<rows * heads.heads * heads.dimension).map { _ in 2 * random.normal() }
      keys = (0..<rows * heads.keyValueHeads * heads.dimension).map { _ in 2 * random.normal() }
      values = (0..<rows * heads.keyValueHeads * heads.dimension).map { _ in random.normal() }
    }
  }

  /// softmax(q kᵀ / sqrt(d)) v row by row in double precision, and ln Σ exp of the scores.
  private func reference(
    _ inputs: Inputs, _ heads: Heads, sequences: Int, length: Int
  ) -> (attended: [Double], logSumExp: [Double]) {
    let (queryWidth, keyValueWidth) = (heads.heads * heads.dimension, heads.keyValueHeads * heads.dimension)
    var attended = [Double](repeating: 0, count: inputs.queries.count)
    var logSumExp = [Double](repeating: 0, count: sequences * heads.heads * length)
    for sequence in 0..<sequences {
      for head in 0..<heads.heads {
        let keyValueHead = head / (heads.heads / heads.keyValueHeads)
        for position in 0..<length {
          let query = (sequence * length + position) * queryWidth + head * heads.dimension
          let scores = (0...position).map { other in
            let key = (sequence * length + other) * keyValueWidth + keyValueHead * heads.dimension
            let dot = (0..<heads.dimension).reduce(0.0) {
              $0 + Double(inputs.queries[query + $1]) * Double(inputs.keys[key + $1])
            }
            return dot / Double(heads.dimension).squareRoot()
          }
          let maximum = scores.max() ?? 0
          let total = scores.reduce(0) { $0 + exp($1 - maximum) }
          logSumExp[(sequence * heads.heads + head) * length + position] = maximum + log(total)
          for (other, score) in scores.enumerated() {
            let value = (sequence * length + other) * keyValueWidth + keyValueHead * heads.dimension
            for channel in 0..<heads.dimension {
              attended[query + channel] += exp(score - maximum) / total * Double(inputs.values[value + channel])
            }
          }
        }
      }
    }
    return (attended, logSumExp)
  }

  private func attend(
    _ inputs: Inputs, _ heads: Heads, sequences: Int, length: Int, threads: Int
  ) -> (attended: [Float], logSumExp: [Float]) {
    let attention = CausalAttention(
      headCount: heads.heads, keyValueHeadCount: heads.keyValueHeads, headDimension: heads.dimension)
    var inputs = inputs
    var logSumExp = [Float](repeating: .nan, count: sequences * heads.heads * length)
    // The arrays become pointers for the call.
    attention.forward(
      queries: &inputs.queries, keys: inputs.keys, values: inputs.values, sequences: sequences, length: length,
      team: ThreadTeam(threads: threads), logSumExp: &logSumExp)
    return (inputs.queries, logSumExp)
  }

  @Test(arguments: Heads.all) func tilesGiveWhatTheNaiveLoopGives(heads: Heads) {
    let tile = CausalAttention(
      headCount: heads.heads, keyValueHeadCount: heads.keyValueHeads, headDimension: heads.dimension
    ).queryTile
    for length in [1, 2, tile - 1, tile, tile + 1, 2 * tile + 1] {
      let inputs = Inputs(heads, rows: 2 * length)
      let got = attend(inputs, heads, sequences: 2, length: length, threads: 2)
      let expected = reference(inputs, heads, sequences: 2, length: length)
      let worst = worstDifference(got.attended, expected.attended)
      #expect(worst < 1e-5, "length \(length)")
      let worstLog = worstDifference(got.logSumExp, expected.logSumExp)
      #expect(worstLog < 1e-4, "length \(length)")
    }
  }

  @Test func severalKeyTilesGiveWhatTheNaiveLoopGives() {
    let heads = Heads(heads: 2, keyValueHeads: 1, dimension: 4)
    for length in [-1, 0, 1].map({ CausalAttention.keyTile + $0 }) + [2 * CausalAttention.keyTile + 3] {
      let inputs = Inputs(heads, rows: length)
      let got = attend(inputs, heads, sequences: 1, length: length, threads: 2)
      let expected = reference(inputs, heads, sequences: 1, length: length)
      let worst = worstDifference(got.attended, expected.attended)
      #expect(worst < 1e-5, "length \(length)")
    }
  }

  @Test func bytesDoNotDependOnThreads() {
    let heads = Heads(heads: 6, keyValueHeads: 2, dimension: 10)
    let inputs = Inputs(heads, rows: 3 * 300)
    let one = attend(inputs, heads, sequences: 3, length: 300, threads: 1)
    for threads in [2, 3] {
      let other = attend(inputs, heads, sequences: 3, length: 300, threads: threads)
      #expect(one.attended == other.attended && one.logSumExp == other.logSumExp, "\(threads) threads")
    }
  }

  @Test func keyTilesAreWholeQueryTiles() {
    // Otherwise a row of a tile could have every key masked.
    for heads in Heads.all + [Heads(heads: 64, keyValueHeads: 8, dimension: 128)] {
      let attention = CausalAttention(
        headCount: heads.heads, keyValueHeadCount: heads.keyValueHeads, headDimension: heads.dimension)
      #expect(CausalAttention.keyTile.isMultiple(of: attention.queryTile))
    }
  }
}
