import CRVQ
import Numerics
import Transformer

/// A packed block as it is stored: linears, and the vectors beside them.
package struct PackedBlock: Sendable {
  package var linears: [LinearRole: PackedLinear]
  /// Norms and biases of this block with their values in the model.
  package var block: DecoderBlock

  package init(linears: [LinearRole: PackedLinear], block: DecoderBlock) {
    self.linears = linears
    self.block = block
  }
}

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
