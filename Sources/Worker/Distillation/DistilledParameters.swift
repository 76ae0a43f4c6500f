import Checkpoint
import Messaging
import Numerics

/// The parameters of a model that is being distilled, between two steps: values, what Adam keeps of them, and the best so far.
///
/// Rates follow the values as each step finds them.
///
/// As an artifact: a safetensors file with the values under the tensors' own names, the rest under names with a suffix.
package struct DistilledParameters {
  package struct Parameter {
    package let tensor: DistilledTensor
    package var vector: TunedVector
    /// binary16, as stored; nil while the packed block's own are the best.
    var best: [UInt16]?
  }

  package var course: DistillationCourse
  package private(set) var parameters: [Parameter]

  private static let courseName = "course"
  private static let meanSuffix = ".mean"
  private static let meanSquareSuffix = ".mean_square"
  private static let bestSuffix = ".best"

  /// As the packed blocks have them.
  package init(_ tensors: [(DistilledTensor, values: [Float])]) {
    course = DistillationCourse()
    parameters = tensors.map { Parameter(tensor: $0, vector: TunedVector($1, relativeRate: $0.relativeRate)) }
  }

  /// As an earlier step left them.
  ///
  /// - Throws: ``CheckpointError``, ``TaskError`` for a file that is something else.
  package init(_ tensors: [DistilledTensor], from file: SafetensorsFile) throws {
    course = try Self.course(of: file)
    parameters = try tensors.map { tensor in
      func floats(_ suffix: String = "") throws -> [Float] {
        try Self.floats(tensor.name + suffix, of: file, count: tensor.shape.reduce(1, *))
      }
      let vector = TunedVector(
        try floats(), relativeRate: tensor.relativeRate, mean: try floats(Self.meanSuffix),
        meanSquare: try floats(Self.meanSquareSuffix))
      let hasBest = file.shape(of: tensor.name + Self.bestSuffix) != nil
      return Parameter(tensor: tensor, vector: vector, best: hasBest ? Half.narrow(try floats(Self.bestSuffix)) : nil)
    }
  }

  private static func floats(_ name: String, of file: SafetensorsFile, count: Int) throws -> [Float] {
    let values = try file.floats(name)
    if values.count == count { return values }
    throw TaskError.other("\(file.path(of: name)): tensor \(name): expected \(count) values, got \(values.count)")
  }

  static func course(of file: SafetensorsFile) throws -> DistillationCourse {
    guard let course = DistillationCourse(values: try file.floats(courseName)) else {
      throw TaskError.other("\(file.path(of: courseName)) has no course of a distillation")
    }
    return course
  }

  /// One step down the gradients, added up in their order. One that is not a number ends the distillation.
  ///
  /// - Parameters:
  ///   - gradients: files with a gradient under each tensor's name.
  ///   - number: counts descents from 1.
  ///   - strength: the schedule's share of the rate.
  /// - Throws: ``CheckpointError``, ``TaskError`` for a file that is something else.
  package mutating func descend(
    _ gradients: [SafetensorsFile], number: Int, strength: Float, _ options: TuneOptions
  ) throws {
    for index in parameters.indices {
      for file in gradients {
        let gradient = try Self.floats(
          parameters[index].tensor.name, of: file, count: parameters[index].vector.gradient.count)
        guard gradient.allSatisfy(\.isFinite) else { return course.diverge() }
        BLAS.saxpy(gradient.count, 1, gradient, &parameters[index].vector.gradient)
      }
      parameters[index].vector.descend(step: number, strength: strength, options)
    }
  }

  /// Takes the loss of the values as they are, and keeps them if they are the best.
  package mutating func judge(_ loss: Float, patience: Int) {
    let before = course
    course.add(validation: loss, patience: patience)
    let epoch = course.losses.count - 1
    guard course.losses.count > before.losses.count, epoch > 0, course.bestEpoch == epoch else { return }
    for index in parameters.indices { parameters[index].best = parameters[index].vector.rounded }
  }

  /// For the next step.
  package func put(into store: ArtifactStore) throws -> Artifact {
    let tensors = parameters.flatMap { parameter -> [FloatTensor] in
      let (name, shape) = (parameter.tensor.name, parameter.tensor.shape)
      return [
        FloatTensor(name: name, shape: shape, values: .float32(parameter.vector.values)),
        FloatTensor(name: name + Self.meanSuffix, shape: shape, values: .float32(parameter.vector.mean)),
        FloatTensor(name: name + Self.meanSquareSuffix, shape: shape, values: .float32(parameter.vector.meanSquare)),
      ] + (parameter.best.map { [FloatTensor(name: name + Self.bestSuffix, shape: shape, values: .float16($0))] } ?? [])
    }
    let values = course.values
    return try FloatTensor.put(
      tensors + [FloatTensor(name: Self.courseName, shape: [values.count], values: .float32(values))], into: store)
  }

  /// The best of all epochs: tensors in place of the packed blocks', none if nothing was better than those.
  package func putBest(into store: ArtifactStore) throws -> Artifact {
    let best =
      course.bestEpoch == 0
      ? []
      : parameters.compactMap { parameter in
        parameter.best.map {
          FloatTensor(name: parameter.tensor.name, shape: parameter.tensor.shape, values: .float16($0))
        }
      }
    return try FloatTensor.put(best, into: store)
  }
}
