import Checkpoint
import Messaging
import Numerics

/// The parameters of a model that is being distilled, between two steps: values, what Adam keeps of them, and the best so far.
/// Rates follow the values as each step finds them.
///
/// As an artifact: a safetensors file with the values under the tensors' own names, the rest under names with a suffix.
package struct DistilledParameters {
  package struct Parameter {
    package let tensor: DistilledTensor
    /// One after another they are the tensor.
    package var vectors: [TunedVector]
    /// binary16, as stored; nil while the packed block's own are the best.
    var best: [UInt16]?
  }

  package var course: EarlyStopping
  package private(set) var parameters: [Parameter]

  private static let courseName = "course"
  private static let meanSuffix = ".mean"
  private static let meanSquareSuffix = ".mean_square"
  private static let bestSuffix = ".best"

  /// As the packed blocks have them.
  ///
  /// - Parameter values: of a tensor, by its name.
  /// - Throws: what `values` throws; ``TaskError`` for a tensor of another size.
  package init(_ tensors: [DistilledTensor], values: (String) throws -> [Float]) throws {
    course = EarlyStopping()
    parameters = try tensors.map { tensor in
      let values = try Self.checked(values(tensor.name), of: tensor, in: tensor.name)
      let vectors = tensor.split(values).map { TunedVector($0, relativeRate: tensor.relativeRate) }
      return Parameter(tensor: tensor, vectors: vectors)
    }
  }

  /// As an earlier step left them.
  ///
  /// - Throws: ``CheckpointError``, ``TaskError`` for a file that is something else.
  package init(_ tensors: [DistilledTensor], from file: SafetensorsFile) throws {
    course = try Self.course(of: file)
    parameters = try tensors.map { tensor in
      func floats(_ suffix: String = "") throws -> [Float] {
        try Self.floats(tensor.name + suffix, as: tensor, of: file)
      }
      let (values, means) = (tensor.split(try floats()), tensor.split(try floats(Self.meanSuffix)))
      let meanSquares = tensor.split(try floats(Self.meanSquareSuffix))
      let vectors = values.indices.map {
        TunedVector(
          values[$0], relativeRate: tensor.relativeRate, mean: means[$0], meanSquare: meanSquares[$0])
      }
      let hasBest = file.shape(of: tensor.name + Self.bestSuffix) != nil
      return Parameter(tensor: tensor, vectors: vectors, best: hasBest ? Half.narrow(try floats(Self.bestSuffix)) : nil)
    }
  }

  private static func floats(_ name: String, as tensor: DistilledTensor, of file: SafetensorsFile) throws -> [Float] {
    try checked(file.floats(name), of: tensor, in: "\(file.path(of: name)): \(name)")
  }

  private static func checked(_ values: [Float], of tensor: DistilledTensor, in place: String) throws -> [Float] {
    let count = tensor.parts.reduce(0, +)
    if values.count == count { return values }
    throw TaskError.other("\(place): expected \(count) values, got \(values.count)")
  }

  /// How the distillation has gone by what a step left.
  ///
  /// - Throws: ``CheckpointError``, ``TaskError`` for a file that is something else.
  static func course(of file: SafetensorsFile) throws -> EarlyStopping {
    guard let course = EarlyStopping(values: try file.floats(courseName)) else {
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
      let tensor = parameters[index].tensor
      for file in gradients {
        let gradient = try Self.floats(tensor.name, as: tensor, of: file)
        guard gradient.allSatisfy(\.isFinite) else { return course.diverge() }
        for (part, slope) in tensor.split(gradient).enumerated() {
          BLAS.saxpy(slope.count, 1, slope, &parameters[index].vectors[part].gradient)
        }
      }
      for part in parameters[index].vectors.indices {
        parameters[index].vectors[part].descend(step: number, strength: strength, options)
      }
    }
  }

  /// Takes the loss of the values as they are, and keeps them if they are the best.
  package mutating func judge(_ loss: Float, patience: Int) {
    course.add(validation: loss, patience: patience)
    let epoch = course.losses.count - 1
    guard !course.hasDiverged, epoch > 0, course.bestEpoch == epoch else { return }
    for index in parameters.indices { parameters[index].best = parameters[index].vectors.flatMap(\.rounded) }
  }

  /// For the next step.
  ///
  /// - Throws: ``CheckpointError``, ``ArtifactError``: the file cannot be written.
  package func put(into store: ArtifactStore) throws -> Artifact {
    let tensors = parameters.flatMap { parameter -> [FloatTensor] in
      let (tensor, vectors) = (parameter.tensor, parameter.vectors)
      func part(_ suffix: String, _ values: FloatTensor.Values) -> FloatTensor {
        FloatTensor(name: tensor.name + suffix, shape: tensor.shape, values: values)
      }
      return [
        part("", .float32(vectors.flatMap(\.values))), part(Self.meanSuffix, .float32(vectors.flatMap(\.mean))),
        part(Self.meanSquareSuffix, .float32(vectors.flatMap(\.meanSquare))),
      ] + (parameter.best.map { [part(Self.bestSuffix, .float16($0))] } ?? [])
    }
    let values = course.values
    return try FloatTensor.put(
      tensors + [FloatTensor(name: Self.courseName, shape: [values.count], values: .float32(values))], into: store)
  }

  /// The best of all epochs: tensors in place of the packed blocks', none if nothing was better than those.
  ///
  /// - Throws: as ``put(into:)``.
  package func putBest(into store: ArtifactStore) throws -> Artifact {
    let best = parameters.compactMap { parameter in
      parameter.best.map {
        FloatTensor(name: parameter.tensor.name, shape: parameter.tensor.shape, values: .float16($0))
      }
    }
    return try FloatTensor.put(course.bestEpoch == 0 ? [] : best, into: store)
  }
}

extension DistilledTensor {
  /// The vectors that values of the tensor consist of.
  fileprivate func split(_ values: [Float]) -> [[Float]] {
    var start = 0
    return parts.map { count in
      defer { start += count }
      return Array(values[start..<start + count])
    }
  }
}
