import Numerics
import TestSupport
import Testing
import Transformer

@Suite struct GramTests {
  private static func activations(_ rows: Int, _ width: Int) -> [Float] {
    var random = RandomStream(seed: 31, key: "gram \(rows) \(width)")
    return (0..<rows * width).map { _ in random.normal() + 0.5 }
  }

  /// Widths around the tile, several tiles, and a last tile of one channel.
  @Test(arguments: [1, 5, 255, 256, 257, 530]) func sumIsThatOfTheNaiveLoop(width: Int) throws {
    let (sequences, length) = (3, 19)
    let x = Self.activations(sequences * length, width)
    let accumulator = GramAccumulator(width: width)
    accumulator.add(x, sequences: 2, length: length, team: ThreadTeam(threads: 2))
    let rest = Array(x[(2 * length * width)...])
    accumulator.add(rest, sequences: 1, length: length, team: ThreadTeam(threads: 1))
    let partial = try accumulator.partial()
    #expect(partial.tokenCount == sequences * length)
    var total = GramTotal(width: width)
    try total.add(partial)
    let gram = try total.normalized()
    var expected: [Double] = []
    for row in 0..<width {
      for column in 0..<width {
        let sum = (0..<sequences * length).reduce(0.0) {
          $0 + Double(x[$1 * width + row]) * Double(x[$1 * width + column])
        }
        expected.append(sum / Double(sequences * length))
      }
    }
    #expect(worstDifference(gram.values, expected) < 1e-5)
  }

  @Test func bytesDependNeitherOnThreadsNorOnBatches() throws {
    let (sequences, length, width) = (4, 33, 300)
    let x = Self.activations(sequences * length, width)
    let together = GramAccumulator(width: width)
    together.add(x, sequences: sequences, length: length, team: ThreadTeam(threads: 1))
    for threads in [2, 3] {
      let apart = GramAccumulator(width: width)
      let team = ThreadTeam(threads: threads)
      for sequence in 0..<sequences {
        let rows = Array(x[sequence * length * width..<(sequence + 1) * length * width])
        apart.add(rows, sequences: 1, length: length, team: team)
      }
      #expect(try apart.partial() == together.partial())
    }
  }

  @Test func shardsAddUp() throws {
    let a = try PartialGram(width: 2, tokenCount: 3, upper: [1, 2, 3])
    let b = try PartialGram(width: 2, tokenCount: 1, upper: [5, 6, 7])
    var total = GramTotal(width: 2)
    try total.add(a)
    try total.add(b)
    #expect(total.tokenCount == 4)
    #expect(try total.normalized() == Matrix(rows: 2, columns: 2, values: [1.5, 2, 2, 2.5]))
  }

  @Test func unfitPartialsAreRefused() throws {
    #expect(throws: TransformerError.self) { try PartialGram(width: 2, tokenCount: 3, upper: [1, 2]) }
    #expect(throws: TransformerError.self) { try PartialGram(width: 2, tokenCount: 0, upper: [1, 2, 3]) }
    #expect(throws: TransformerError.self) { try PartialGram(width: 2, tokenCount: 1, upper: [1, .nan, 3]) }
    #expect(throws: TransformerError.self) { try PartialGram(width: .max, tokenCount: 1, upper: [1]) }
    #expect(throws: TransformerError.self) { try GramTotal(width: 2).normalized() }
    var total = GramTotal(width: 3)
    #expect(throws: TransformerError.self) {
      try total.add(PartialGram(width: 2, tokenCount: 1, upper: [1, 2, 3]))
    }
  }
}
