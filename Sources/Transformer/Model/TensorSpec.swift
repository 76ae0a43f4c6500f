import Checkpoint
import Numerics

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
    guard let found = source.shape(of: name) else {
      throw CheckpointError(.missing, path: source.path(of: name), "no tensor \(name); expected one of shape \(shape)")
    }
    guard found == shape else {
      throw CheckpointError(
        .mismatch, path: source.path(of: name), "tensor \(name): expected shape \(shape), got \(found)")
    }
  }

  /// The tensor's values, row-major.
  ///
  /// - Throws: ``CheckpointError`` as ``check(in:)``, or if a value is NaN or infinite, naming its place.
  func load(from source: some TensorSource) throws -> [Float] {
    try check(in: source)
    let values = try source.floats(name)
    if let index = Finite.firstNonFinite(values) {
      throw CheckpointError(
        .malformed, path: source.path(of: name),
        "tensor \(name): expected finite values, got \(values[index]) at \(place(of: index))")
    }
    return values
  }

  /// The coordinates of a row-major index, for messages.
  private func place(of index: Int) -> [Int] {
    var rest = index
    var coordinates: [Int] = []
    for size in shape.reversed() {
      coordinates.insert(rest % size, at: 0)
      rest /= size
    }
    return coordinates
  }
}
