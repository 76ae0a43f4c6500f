import Checkpoint
import Foundation
import Numerics
import Testing
import Transformer

@Suite struct EvaluationTests {
  private let team = ThreadTeam(threads: 2)

  @Test func lossesOverSeveralTilesOfTheVocabularyAreThoseOfTheLogits() throws {
    // More words than two tiles hold, and sequences longer than a piece.
    let (vocabulary, width, length) = (4100, 3, 300)
    var random = RandomStream(seed: 41)
    let head = LanguageModelHead(
      norm: [1, 2, 3], normEpsilon: 1e-5,
      weight: Matrix(
        rows: vocabulary, columns: width, values: (0..<vocabulary * width).map { _ in 3 * random.normal() }))
    let hidden = try HiddenStates(
      sequences: 2, length: length, width: width, values: (0..<2 * length * width).map { _ in random.normal() })
    let targets = [
      (0..<length).map { _ in Int32(random.index(below: vocabulary)) }, [0, 4099, 2047, 2048],
    ]
    let losses = try head.negativeLogLikelihood(hidden, targets: targets, team: team)
    let logits = try head.logits(hidden, team: team)
    #expect(losses.map(\.count) == [length, 4])
    for (sequence, words) in targets.enumerated() {
      for (position, word) in words.enumerated() {
        let row = (sequence * length + position) * vocabulary
        let scores = logits.values[row..<row + vocabulary].map(Double.init)
        let maximum = scores.max() ?? 0
        let expected = maximum + log(scores.reduce(0) { $0 + exp($1 - maximum) }) - scores[Int(word)]
        #expect(abs(losses[sequence][position] - expected) < 1e-4)
      }
    }
    let alone = try head.negativeLogLikelihood(hidden.slice(1..<2), targets: [targets[1]], team: ThreadTeam(threads: 3))
    #expect(alone[0] == losses[1])
  }

  @Test func targetsThatDoNotFitAreRefused() throws {
    let head = LanguageModelHead(norm: [1], normEpsilon: 1, weight: Matrix(rows: 2, columns: 1, values: [1, 2]))
    let hidden = try HiddenStates(sequences: 1, length: 2, width: 1, values: [1, 1])
    for targets: [[Int32]] in [[], [[2]], [[-1]], [[0, 0, 0]], [[0], [0]]] {
      #expect(throws: TransformerError.self) {
        try head.negativeLogLikelihood(hidden, targets: targets, team: team)
      }
    }
  }

  @Test func memoryLimitChangesNothingButTheSteps() throws {
    let golden = try GoldenModel("gqa-tied")
    var steps: [Int] = []
    let whole = try WindowEvaluation(model: golden.model, source: golden.checkpoint).losses(golden.tokens, team: team) {
      steps.append($0.stepsDone)
      #expect($0.stepCount == 3)
    }
    #expect(steps == [1, 2, 3])
    var last: WindowEvaluation.Progress?
    let single = try WindowEvaluation(model: golden.model, source: golden.checkpoint, hiddenBytesMax: 1)
      .losses(golden.tokens, team: ThreadTeam(threads: 1)) { last = $0 }
    #expect(single == whole)
    #expect(last?.stepsDone == 6 && last?.stepCount == 6 && last?.tokensDone == 34)
  }

  @Test func perplexityIsTheExponentialOfTheMean() {
    let perplexity = Perplexity([
      WindowLoss(negativeLogLikelihood: 3, predictionCount: 2),
      WindowLoss(negativeLogLikelihood: 5, predictionCount: 2),
    ])
    #expect(perplexity.predictionCount == 4)
    #expect(perplexity.value == exp(2))
  }

  @Test func windowsDoNotOverlapAndDropWhatIsLeft() throws {
    func places(_ sequences: Int, of sequenceLength: Int, length: Int, countMax: Int = .max) throws -> [[Int]] {
      let windows = try TokenWindows(
        sequenceCount: sequences, sequenceLength: sequenceLength, length: length, countMax: countMax)
      return (0..<windows.count).map {
        let (sequence, positions) = windows.place(of: $0)
        return [sequence, positions.lowerBound, positions.upperBound]
      }
    }
    #expect(try places(1, of: 5, length: 2) == [[0, 0, 2], [0, 2, 4]])
    #expect(try places(2, of: 5, length: 2, countMax: 3) == [[0, 0, 2], [0, 2, 4], [1, 0, 2]])
    #expect(try places(2, of: 3, length: 2048) == [[0, 0, 3], [1, 0, 3]])
    for (sequences, sequenceLength, length, countMax) in [(1, 1, 2, 1), (0, 8, 2, 1), (1, 2, 1, 1), (1, 2, 2, 0)] {
      #expect(throws: TransformerError.self) {
        try places(sequences, of: sequenceLength, length: length, countMax: countMax)
      }
    }
  }
}
