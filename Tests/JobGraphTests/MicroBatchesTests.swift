import JobGraph
import Testing

@Suite struct MicroBatchesTests {
  @Test(arguments: [(1, 1, 1024), (56, 8, 1024), (5, 3, 16), (1000, 100, 400), (2, 1, 5000)])
  func trainingIsOnWhatFitsSeeAndValidationOnWhatIsHeldOut(fitted: Int, heldOut: Int, length: Int) {
    let batches = MicroBatches(fitted: fitted, heldOut: heldOut, length: length)
    #expect(batches.training.flatMap { Array($0) } == Array(0..<fitted))
    #expect(batches.validation.flatMap { Array($0) } == Array(fitted..<batches.sequences.upperBound))
    #expect(batches.sequences == 0..<fitted + heldOut)
    for batch in batches.training + batches.validation {
      #expect(batch.count == 1 || batch.count * length <= MicroBatches.positions)
    }
  }

  @Test func aValidationIsBounded() {
    let batches = MicroBatches(fitted: 10, heldOut: 1000, length: 512)
    #expect(batches.validation.count == 64)
    #expect(batches.sequences == 0..<10 + 128)
  }

  @Test func shardsOfAJobGiveTheSame() {
    let shards = JobPlan.slice(sequences: 64, heldOut: 8, count: 16)
    #expect(MicroBatches(shards, length: 1024) == MicroBatches(fitted: 56, heldOut: 8, length: 1024))
    #expect(MicroBatches(shards.filter { !$0.isHeldOut }, length: 1024) == nil)
    #expect(MicroBatches(shards.filter(\.isHeldOut), length: 1024) == nil)
  }
}
