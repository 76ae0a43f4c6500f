import Foundation
import Numerics
import Testing
import Transformer

@Suite struct DivergenceTests {
  private let team = ThreadTeam(threads: 2)
  private static let (vocabulary, width) = (301, 6)

  private let head: LanguageModelHead
  /// Longer than a piece of rows, in two sequences.
  private let hidden: HiddenStates
  private let expected: HiddenStates

  init() throws {
    var random = RandomStream(seed: 43)
    let (vocabulary, width) = (Self.vocabulary, Self.width)
    head = LanguageModelHead(
      norm: (0..<width).map { _ in 1 + 0.2 * random.normal() }, normEpsilon: 1e-5,
      weight: Matrix(
        rows: vocabulary, columns: width, values: (0..<vocabulary * width).map { _ in random.normal() }))
    func states() throws -> HiddenStates {
      try HiddenStates(
        sequences: 2, length: 70, width: width, values: (0..<140 * width).map { _ in 3 * random.normal() })
    }
    (hidden, expected) = (try states(), try states())
  }

  /// By the definition, in double precision.
  private func naive(_ states: HiddenStates, row: Int) throws -> Double {
    func logProbabilities(_ states: HiddenStates) throws -> [Double] {
      let logits = try head.logits(states, team: team)
      let scores = logits.values[row * Self.vocabulary..<(row + 1) * Self.vocabulary].map(Double.init)
      let maximum = scores.max() ?? 0
      let total = maximum + log(scores.reduce(0) { $0 + exp($1 - maximum) })
      return scores.map { $0 - total }
    }
    return zip(try logProbabilities(expected), try logProbabilities(states)).reduce(0) {
      $0 + exp($1.0) * ($1.0 - $1.1)
    }
  }

  @Test func theSumIsThatOfTheDefinition() throws {
    let sum = try (0..<hidden.rows).reduce(0.0) { try $0 + naive(hidden, row: $1) }
    let divergence = try head.divergence(of: hidden, from: expected, team: team)
    #expect(abs(divergence - sum) < 1e-5 * sum)
    #expect(abs(try head.divergence(of: hidden, from: hidden, team: team)) < 1e-4)
  }

  @Test func theGradientIsThatOfFiniteDifferences() throws {
    let (sum, gradient) = try head.divergenceGradient(of: hidden, from: expected, scale: 0.5, team: team)
    #expect(sum == (try head.divergence(of: hidden, from: expected, team: team)))
    let step: Float = 1e-2
    for (row, channel) in [(0, 0), (63, 5), (64, 1), (69, 2), (70, 3), (139, 4)] {
      let index = row * Self.width + channel
      var (above, below) = (hidden, hidden)
      above.values[index] += step
      below.values[index] -= step
      let slope = (try naive(above, row: row) - naive(below, row: row)) / (2 * Double(step))
      #expect(abs(Double(gradient.values[index]) - 0.5 * slope) < 1e-3 * max(1, abs(slope)), "row \(row)")
    }
  }

  @Test func theNumberOfThreadsChangesNoBit() throws {
    let one = try head.divergenceGradient(of: hidden, from: expected, scale: 1, team: ThreadTeam(threads: 1))
    let three = try head.divergenceGradient(of: hidden, from: expected, scale: 1, team: ThreadTeam(threads: 3))
    #expect(one.sum == three.sum)
    #expect(one.gradient == three.gradient)
  }

  @Test func aStateThatIsNotANumberMakesTheSumOneToo() throws {
    var broken = hidden
    broken.values[100] = .nan
    #expect(try !head.divergence(of: broken, from: expected, team: team).isFinite)
  }

  @Test func statesOfOtherSizesAreRefused() throws {
    let other = try HiddenStates(sequences: 1, length: 2, width: Self.width, values: [Float](repeating: 1, count: 12))
    let wide = try HiddenStates(sequences: 1, length: 1, width: 7, values: [Float](repeating: 1, count: 7))
    #expect(throws: TransformerError.self) { try head.divergence(of: hidden, from: other, team: team) }
    #expect(throws: TransformerError.self) { try head.divergence(of: wide, from: wide, team: team) }
  }
}
