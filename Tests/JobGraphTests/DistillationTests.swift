import JobGraph
import Testing

@Suite struct DistillationTests {
  @Test(arguments: [(1, 1, 1024), (2, 56, 1024), (3, 224, 2048), (10, 5, 16), (1, 1000, 400)])
  func everyEpochGoesOnceOverTheSequencesAndEndsWithAValidation(epochs: Int, sequences: Int, length: Int) {
    let plan = Distillation(epochs: epochs, sequences: sequences, length: length)
    let kept = max(1, sequences / 8)
    #expect(plan.training.flatMap { Array($0) } == Array(0..<max(1, sequences - kept)))
    #expect(plan.validation.flatMap { Array($0) } == Array(sequences - kept..<sequences))
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
        #expect(plan.batchCount(ofStep: index) == plan.validation.count)
        validations.append(epoch)
      }
    }
    #expect(validations == Array(0...epochs))
    #expect(numbers == Array(1...plan.descentCount))
    for epoch in 0..<epochs { #expect(seen[epoch] == Array(plan.training.indices)) }
  }

  @Test func aDescentHasFourToSixteenBatches() {
    func size(_ sequences: Int) -> Int {
      Distillation(epochs: 1, sequences: sequences, length: 1024).batchesPerDescent
    }
    #expect([size(1), size(56), size(138), size(10_000)] == [4, 4, 10, 16])
  }
}
