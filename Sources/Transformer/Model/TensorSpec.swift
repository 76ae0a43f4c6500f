import Checkpoint

/// A tensor that a model needs from its checkpoint.
public struct TensorSpec: Sendable, Hashable {
  /// The name under which transformers saves it.
  public let name: String
  /// Outermost dimension first.
  public let shape: [Int]

  /// What the names of a block's tensors start with.
  static func blockPrefix(_ block: Int) -> String { blocksPrefix + "\(block)." }

  private static let blocksPrefix = "model.layers."

  /// The block that a tensor of this name belongs to; nil for one of none.
  public static func block(ofTensor name: String) -> Int? {
    guard name.hasPrefix(blocksPrefix) else { return nil }
    let rest = name.dropFirst(blocksPrefix.count)
    guard let end = rest.firstIndex(of: "."), let block = Int(rest[..<end]), name.hasPrefix(blockPrefix(block)) else {
      return nil
    }
    return block
  }

  static let embedding = "model.embed_tokens.weight"
  static let finalNorm = "model.norm.weight"
  static let head = "lm_head.weight"

  static func inputNorm(_ block: Int) -> String { blockPrefix(block) + "input_layernorm.weight" }
  static func mlpNorm(_ block: Int) -> String { blockPrefix(block) + "post_attention_layernorm.weight" }
}

extension TensorSpec {
  /// - Throws: ``CheckpointError`` if the source has no tensor of this name, or one of another shape.
  func check(in source: some TensorSource) throws {
    try source.check(name, shape: shape)
  }

  /// The tensor's values, row-major.
  ///
  /// - Throws: ``CheckpointError`` as ``check(in:)``, or if a value is NaN or infinite, naming its place.
  func load(from source: some TensorSource) throws -> [Float] {
    try source.finiteFloats(name, shape: shape)
  }
}
