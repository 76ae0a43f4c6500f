import JobGraph
import Testing

@Suite struct DistillationTests {
  @Test(arguments: [(1, 1, 1024), (2, 56, 1024), (3, 224, 2048), (10, 5, 16), (1, 1000, 400)])
  func everyEpochGoesOnceOverTheSequencesAndEndsWithAValidation(epochs: Int, fitted: Int, length: Int) {
    let plan = Distillation(epochs: epochs, MicroBatches(fitted: fitted, heldOut: 8, length: length))
    var seen: [Int: [Int]] = [:]
    var numbers: [Int] = []
    var validations: [Int] = []
    for index in 0..<plan.stepCount {
      switch plan[index] {
      case .descent(let number, let epoch, let batches):
        #expect(plan.batchCount(ofStep: index) == batches.count)
        #expect(validations.last == epoch, "an epoch follows the validation of the one before")
        seen[epoch, default: []] += batches
        numbers.append(number)
      case .validation(let epoch):
        #expect(plan.batchCount(ofStep: index) == plan.batches.validation.count)
        validations.append(epoch)
      }
    }
    #expect(validations == Array(0...epochs))
    #expect(numbers == Array(1...plan.descentCount))
    for epoch in 0..<epochs { #expect(seen[epoch] == Array(plan.batches.training.indices)) }
  }

  @Test func aDescentHasTwoToSixteenBatches() {
    func size(_ fitted: Int) -> Int {
      Distillation(epochs: 1, MicroBatches(fitted: fitted, heldOut: 1, length: 1024)).batchesPerDescent
    }
    #expect([size(1), size(143), size(144), size(480), size(10_000)] == [2, 2, 3, 10, 16])
  }
}
