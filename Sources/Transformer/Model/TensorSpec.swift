/// A tensor that a model needs from its checkpoint.
public struct TensorSpec: Sendable, Hashable {
  /// The name under which transformers saves it.
  public let name: String
  /// Outermost dimension first.
  public let shape: [Int]

  /// What the names of a block's tensors start with.
  static func blockPrefix(_ block: Int) -> String { "model.layers.\(block)." }

  static let embedding = "model.embed_tokens.weight"
  static let finalNorm = "model.norm.weight"
  static let head = "lm_head.weight"

  static func inputNorm(_ block: Int) -> String { blockPrefix(block) + "input_layernorm.weight" }
  static func mlpNorm(_ block: Int) -> String { blockPrefix(block) + "post_attention_layernorm.weight" }
}
