import CRVQ
import Numerics
import Transformer

/// The parameters of a packed block while they are tuned; receives the gradients of a backward pass.
package final class TunedBlock: BlockGradientSink {
  package let linears = Set(LinearRole.allCases)
  package private(set) var tuned: [LinearRole: TunedLinear]
  private var biases: [LinearRole: TunedVector] = [:]
  private var inputNorm: TunedVector
  private var mlpNorm: TunedVector
  private let options: TuneOptions
  private let original: PackedBlock

  package init(_ packed: PackedBlock, _ options: TuneOptions) {
    self.options = options
    original = packed
    tuned = packed.linears.mapValues { TunedLinear($0, options) }
    for role in LinearRole.allCases {
      if let bias = packed.block[role].bias { biases[role] = TunedVector(bias, relativeRate: options.biasRate) }
    }
    inputNorm = TunedVector(packed.block.inputNorm, relativeRate: options.normRate)
    mlpNorm = TunedVector(packed.block.mlpNorm, relativeRate: options.normRate)
  }

  package func add(weightGradient gradient: UnsafePointer<Float>, of linear: LinearSpec, team: ThreadTeam) {
    tuned[linear.role]?.add(weightGradient: gradient, team: team)
  }

  package func add(biasGradient gradient: [Float], of linear: LinearSpec) {
    biases[linear.role]?.gradient.add(gradient)
  }

  package func add(inputNormGradient: [Float], mlpNormGradient: [Float]) {
    inputNorm.gradient.add(inputNormGradient)
    mlpNorm.gradient.add(mlpNormGradient)
  }

  /// The gradients of what is tuned, by the names of the tensors in a packed model; codebooks of a linear one after another.
  func gradients(in model: LanguageModel) -> [(name: String, values: [Float])] {
    let index = original.block.index
    var gradients: [(name: String, values: [Float])] = []
    for spec in model.linears {
      guard let linear = tuned[spec.role] else { continue }
      let path = spec.path(block: index)
      gradients.append((PackedPart.codebooks.name(of: path), linear.codebooks.flatMap(\.gradient)))
      gradients.append((PackedPart.scales.name(of: path), linear.scales.gradient))
      if let name = spec.biasName(block: index), let bias = biases[spec.role] {
        gradients.append((name, bias.gradient))
      }
    }
    gradients.append((model.inputNormTensor(ofBlock: index).name, inputNorm.gradient))
    gradients.append((model.mlpNormTensor(ofBlock: index).name, mlpNorm.gradient))
    return gradients
  }

  /// Takes the values of all vectors from elsewhere, by the names of their tensors.
  ///
  /// - Throws: what `values` throws; ``TaskError`` for a tensor of another size.
  func replaceValues(in model: LanguageModel, by values: (String) throws -> [Float]) throws {
    let index = original.block.index
    func checked(_ name: String, _ count: Int) throws -> [Float] {
      let found = try values(name)
      if found.count == count { return found }
      throw TaskError.other("tensor \(name): expected \(count) values, got \(found.count)")
    }
    for spec in model.linears {
      let path = spec.path(block: index)
      try tuned[spec.role]?.replaceValues(checked, path: path)
      if let name = spec.biasName(block: index), let bias = biases[spec.role] {
        biases[spec.role]?.replace(try checked(name, bias.values.count))
      }
    }
    inputNorm.replace(try checked(model.inputNormTensor(ofBlock: index).name, inputNorm.values.count))
    mlpNorm.replace(try checked(model.mlpNormTensor(ofBlock: index).name, mlpNorm.values.count))
  }

  /// One step of all parameters.
  package func descend(step: Int, strength: Float) {
    for role in LinearRole.allCases {
      tuned[role]?.descend(step: step, strength: strength, options)
      biases[role]?.descend(step: step, strength: strength, options)
    }
    inputNorm.descend(step: step, strength: strength, options)
    mlpNorm.descend(step: step, strength: strength, options)
  }

  /// The block that computes with the values as they are, not rounded.
  package func block(team: ThreadTeam) -> DecoderBlock {
    var block = original.block
    for (role, linear) in tuned {
      block[role] = Linear(weight: linear.weight(team: team), bias: biases[role]?.values)
    }
    block.inputNorm = inputNorm.values
    block.mlpNorm = mlpNorm.values
    return block
  }

  /// The block as it would be stored now, decoded from binary16: what counts.
  ///
  /// - Throws: ``CRVQError`` if a value is not finite in binary16.
  func rounded(team: ThreadTeam) throws -> PackedBlock {
    var result = original
    for (role, linear) in tuned {
      let packed = try linear.rounded(name: role.rawValue)
      result.linears[role] = packed
      result.block[role] = Linear(
        weight: packed.decode(team: team), bias: (biases[role]?.rounded).map { Half.widen($0) })
    }
    result.block.inputNorm = Half.widen(inputNorm.rounded)
    result.block.mlpNorm = Half.widen(mlpNorm.rounded)
    return result
  }
}

extension [Float] {
  /// Element by element.
  fileprivate mutating func add(_ other: [Float]) {
    for index in indices { self[index] += other[index] }
  }
}
