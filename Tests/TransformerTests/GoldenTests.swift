import Foundation
import Numerics
import TestSupport
import Testing
import Transformer

/// Whole models against transformers.
@Suite struct GoldenTests {
  private let team = ThreadTeam(threads: 2)

  @Test(arguments: GoldenModel.names) func logitsAreThoseOfTransformers(name: String) throws {
    let golden = try GoldenModel(name)
    try golden.model.validate(golden.checkpoint)
    let logits = try golden.model.loadHead(from: golden.checkpoint).logits(golden.output(team: team), team: team)
    #expect(worstDifference(logits.values, golden.logits.values) < 1e-4)
  }

  @Test(arguments: GoldenModel.names) func lossesAreThoseOfTheGoldenLogits(name: String) throws {
    let golden = try GoldenModel(name)
    let losses = try WindowEvaluation(model: golden.model, source: golden.checkpoint).losses(golden.tokens, team: team)
    let length = golden.tokens[0].count
    for (sequence, ids) in golden.tokens.enumerated() {
      var expected = 0.0
      for position in 0..<length - 1 {
        let vocabulary = golden.logits.columns
        let row = (sequence * length + position) * vocabulary
        let logits = golden.logits.values[row..<row + vocabulary].map(Double.init)
        expected += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int(ids[position + 1])]
      }
      #expect(losses[sequence].predictionCount == length - 1)
      #expect(abs(losses[sequence].negativeLogLikelihood - expected) < 1e-5 * expected)
    }
  }
}
