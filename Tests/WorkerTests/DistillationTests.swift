import Checkpoint
import Messaging
import Numerics
import TestSupport
import Testing
import Worker

@Suite struct EarlyStoppingTests {
  @Test func theFirstOfTheSmallestLossesIsTheBest() {
    var course = EarlyStopping()
    for loss: Float in [3, 2, 1, 1] { course.add(validation: loss, patience: 3) }
    #expect(course.bestEpoch == 2)
    #expect((course.lossBefore, course.lossAfter) == (3, 1))
    #expect(!course.isOver)
  }

  @Test func withoutABetterEpochItEndsAndChangesNothing() {
    var course = EarlyStopping()
    for loss: Float in [1, 1, 2, 2] { course.add(validation: loss, patience: 3) }
    #expect(course.isOver && course.bestEpoch == 0 && course.lossAfter == 1)
    course.add(validation: 0.5, patience: 3)
    #expect(course.losses == [1, 1, 2, 2])
  }

  @Test(arguments: [Float.nan, .infinity]) func aLossThatIsNotANumberEndsItAndKeepsThePackedBlocks(loss: Float) {
    var course = EarlyStopping()
    for loss in [2, 1, loss, 0.5] { course.add(validation: loss, patience: 3) }
    #expect(course.isOver && course.hasDiverged && course.bestEpoch == 0)
    #expect(course.lossBefore == 2 && course.lossAfter.isNaN)
  }

  @Test func itComesBackFromATensor() throws {
    var course = EarlyStopping()
    for loss: Float in [2, 1, .nan] { course.add(validation: loss, patience: 3) }
    #expect(EarlyStopping(values: course.values) == course)
    #expect(EarlyStopping(values: []) == nil)
  }
}

@Suite struct DistilledParametersTests {
  private let directory: TemporaryDirectory
  private let store: ArtifactStore
  private let tensors = [
    DistilledTensor(name: "a", shape: [2, 3], parts: [4, 2], relativeRate: 0.1),
    DistilledTensor(name: "b", shape: [2], relativeRate: 0.2),
  ]
  private let values: [[Float]] = [[1, -2, 3, -4, 5, -6], [0.5, 0.25]]

  init() throws {
    directory = try TemporaryDirectory()
    store = try ArtifactStore(directory: directory.path, durability: .cache)
  }

  private func start() throws -> DistilledParameters {
    try DistilledParameters(tensors) { name in values[name == "a" ? 0 : 1] }
  }

  private func file(_ artifact: Artifact) throws -> SafetensorsFile {
    try SafetensorsFile(path: store.verifiedPath(artifact.digest))
  }

  private func gradients(_ values: [[Float]]) throws -> SafetensorsFile {
    try file(
      FloatTensor.put(
        zip(tensors, values).map { FloatTensor(name: $0.name, shape: $0.shape, values: .float32($1)) }, into: store))
  }

  @Test func aStepGoesDownTheSumOfTheGradients() throws {
    let options = TuneOptions(epochs: 1)
    let (first, second): ([[Float]], [[Float]]) = ([[1, 0, 2, 0, 0, 1], [1, 1]], [[1, 1, -1, 0, 0, 0], [0, -1]])
    var parameters = try start()
    try parameters.descend([gradients(first), gradients(second)], number: 1, strength: 0.5, options)
    // The first step goes against the sum's sign, as far as the rate of the part says: half of 0.1 · √(30/4) and of
    // 0.1 · √(61/2) in `a`, half of 0.2 · √(0.3125/2) in `b`.
    let expected: [(parameter: Int, part: Int, values: [Float], mean: [Float])] = [
      (0, 0, [0.8630694, -2.1369306, 2.8630694, -4], [0.2, 0.1, 0.1, 0]), (0, 1, [5, -6.2761340], [0, 0.1]),
      (1, 0, [0.4604715, 0.25], [0.1, 0]),
    ]
    for (parameter, part, values, mean) in expected {
      let vector = parameters.parameters[parameter].vectors[part]
      #expect(worstDifference(vector.values, values) < 2e-6)
      // Which tells a sum from a mean of the gradients.
      #expect(worstDifference(vector.mean, mean) < 1e-6)
    }
    #expect(parameters.parameters[1].vectors[0].values[1] == 0.25, "a gradient of zero moves nothing")
  }

  @Test func allOfThemComeBackFromAFile() throws {
    var parameters = try start()
    parameters.judge(2, patience: 3)
    try parameters.descend(
      [gradients([[1, 2, 3, 4, 5, 6], [7, 8]])], number: 1, strength: 1, TuneOptions(epochs: 1))
    parameters.judge(1, patience: 3)
    let artifact = try parameters.put(into: store)
    let again = try DistilledParameters(tensors, from: file(artifact))
    #expect(again.course == parameters.course && again.course.bestEpoch == 1)
    #expect(try again.put(into: store) == artifact)
    #expect(try again.putBest(into: store) == parameters.putBest(into: store))
    // And so does what Adam keeps.
    let (vector, before) = (again.parameters[0].vectors[1], parameters.parameters[0].vectors[1])
    #expect(vector.mean == before.mean && vector.meanSquare == before.meanSquare && vector.mean[0] != 0)
  }

  @Test func theBestAreTheValuesOfItsEpochAsTheyAreStored() throws {
    let options = TuneOptions(epochs: 1)
    let gradient = try gradients([[1, 2, 3, 4, 5, 6], [7, 8]])
    var parameters = try start()
    parameters.judge(2, patience: 3)
    #expect(try file(parameters.putBest(into: store)).tensorNames.isEmpty)
    try parameters.descend([gradient], number: 1, strength: 1, options)
    let best = parameters.parameters.map { $0.vectors.flatMap(\.rounded) }
    parameters.judge(1, patience: 3)
    try parameters.descend([gradient], number: 2, strength: 1, options)
    parameters.judge(1.5, patience: 3)
    let kept = try file(parameters.putBest(into: store))
    #expect(kept.tensorNames == ["a", "b"] && kept.shape(of: "a") == [2, 3])
    for (tensor, bits) in zip(tensors, best) { #expect(try Half.narrow(kept.floats(tensor.name)) == bits) }
  }

  @Test func aGradientThatIsNotANumberEndsIt() throws {
    var parameters = try start()
    parameters.judge(2, patience: 3)
    let gradient = try gradients([[1, .nan, 3, 4, 5, 6], [7, 8]])
    try parameters.descend([gradient], number: 1, strength: 1, TuneOptions(epochs: 1))
    #expect(parameters.course.hasDiverged)
    #expect(try file(parameters.putBest(into: store)).tensorNames.isEmpty)
  }

  @Test func aFileOfOtherTensorsIsRefused() throws {
    let short = try file(
      FloatTensor.put(
        [
          FloatTensor(name: "a", shape: [1], values: .float32([1])),
          FloatTensor(name: "b", shape: [2], values: .float32([1, 2])),
        ], into: store))
    var parameters = try start()
    #expect(throws: TaskError.self) {
      try parameters.descend([short], number: 1, strength: 1, TuneOptions(epochs: 1))
    }
    #expect(throws: (any Error).self) { try DistilledParameters(tensors, from: short) }
  }
}
