import Coordinator
import TestSupport
import Testing
import Transformer

@Suite struct WindowLossTests {
  /// A sum over windows is the same wherever they were run only if each comes back from the database to the last bit.
  @Test func aRecordKeepsEveryBit() throws {
    var generator = SplitMix(seed: TestRun.seed)
    let drawn = (0..<1000).map { _ in Double(bitPattern: generator.next()) }
    let values = [0, -0.0, 0.1 + 0.2, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity] + drawn
    for value in values where !value.isNaN {
      let loss = WindowLoss(negativeLogLikelihood: value, predictionCount: 2047)
      let read = try WindowLoss(record: loss.record())
      #expect(read.negativeLogLikelihood.bitPattern == value.bitPattern, "\(value), \(TestRun.seedSetting)")
      #expect(read.predictionCount == 2047)
    }
  }

  @Test func aLossThatIsNotANumberStaysOne() throws {
    let loss = WindowLoss(negativeLogLikelihood: .nan, predictionCount: 1)
    #expect(try WindowLoss(record: loss.record()).negativeLogLikelihood.isNaN)
  }
}
