import JobGraph
import Testing
import Worker

/// Known answers: gradients are added up in these orders, on every machine and in every release.
@Suite struct MicroBatchesOrderTests {
  @Test func everyEpochHasAnOrderOfItsOwn() {
    let batches = MicroBatches(fitted: 17, heldOut: 1, length: 512)
    func order(_ epoch: Int) -> [Int] { batches.shuffled(epoch: epoch, seed: 5).map(\.lowerBound) }
    #expect(order(2) == [0, 6, 14, 12, 10, 8, 2, 16, 4])
    #expect(order(3) == [10, 14, 2, 0, 6, 8, 16, 12, 4])
  }
}
