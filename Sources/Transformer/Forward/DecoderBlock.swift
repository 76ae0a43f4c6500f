import Numerics

/// One decoder block with its weights in memory:
///
///     h ← h + o(attention(rotary(q, k), v)),  q, k, v from RMSNorm(h)
///     h ← h + down(silu(gate) · up),          gate, up from RMSNorm(h)
///
/// Weights may be replaced between passes, by quantized ones say.
public struct DecoderBlock: Sendable {
  /// The block's place in the model.
  public let index: Int
  public let shape: DecoderShape
  /// The weight of the norm in front of attention, [hiddenSize].
  public var inputNorm: [Float]
  /// The weight of the norm in front of the MLP, [hiddenSize].
  public var mlpNorm: [Float]

  private var linears: [LinearRole: Linear]
  let rotaryCache: RotaryCache

  /// Assembles a block from its tensors, whose sizes must be those of `shape`.
  init(
    index: Int, shape: DecoderShape, inputNorm: [Float], mlpNorm: [Float], linears: [LinearRole: Linear],
    rotaryCache: RotaryCache
  ) {
    precondition(LinearRole.allCases.allSatisfy { linears[$0] != nil }, "a block has all linears")
    self.index = index
    self.shape = shape
    self.inputNorm = inputNorm
    self.mlpNorm = mlpNorm
    self.linears = linears
    self.rotaryCache = rotaryCache
  }

  /// The linear in a role. A replacement must have the same sizes.
  public subscript(role: LinearRole) -> Linear {
    get {
      // The initializer checked every role, and the setter below only replaces.
      guard let linear = linears[role] else { preconditionFailure("a block has all linears") }
      return linear
    }
    set {
      let spec = shape.linear(role)
      precondition(
        newValue.weight.rows == spec.outFeatures && newValue.weight.columns == spec.inFeatures,
        "\(spec.name) is \(spec.outFeatures)×\(spec.inFeatures)")
      linears[role] = newValue
    }
  }
}
