/// One linear of every block of a model: y = W x (+ bias) with W [outFeatures, inFeatures].
public struct LinearSpec: Sendable, Hashable {
  public let role: LinearRole
  public let outFeatures: Int
  public let inFeatures: Int
  public let hasBias: Bool

  /// The name inside a block: "self_attn.q_proj".
  public var name: String { role.rawValue }
  /// The site whose activations feed this linear.
  public var site: Site { role.site }
  /// The number of weights.
  public var weightCount: Int { outFeatures * inFeatures }

  /// The name in a checkpoint without ".weight": "model.layers.3.self_attn.q_proj".
  public func path(block: Int) -> String { TensorSpec.blockPrefix(block) + name }
  /// The name of the weight in a checkpoint: "model.layers.3.self_attn.q_proj.weight".
  public func tensorName(block: Int) -> String { path(block: block) + ".weight" }
  /// The name of the bias in a checkpoint, or nil if this linear has none.
  public func biasName(block: Int) -> String? { hasBias ? path(block: block) + ".bias" : nil }
}
