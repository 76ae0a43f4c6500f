import Checkpoint

/// What makes one architecture of transformers differ from the others: how its configuration describes the decoder.
///
/// An architecture is one file with one conforming type, and its line in ``Architectures``.
protocol Architecture {
  /// The class name in config.json's `architectures`.
  static var name: String { get }

  /// What `model_type` may be: that of any other class is computed in another way.
  static var modelTypes: [String] { get }

  /// The decoder that a configuration of this architecture describes.
  ///
  /// - Throws: ``TransformerError`` naming the option that cannot be run; ``CheckpointError`` for one that is not what it should be.
  static func shape(_ config: ModelConfig) throws -> DecoderShape
}

/// The architectures that can be run.
public enum Architectures {
  /// One line an architecture.
  static var all: [any Architecture.Type] { [Llama.self, Mistral.self, Qwen2.self] }

  /// Their names, sorted, for ``ModelConfig/init(directory:known:)`` and for messages.
  public static var names: [String] { all.map { $0.name }.sorted() }

  /// The architecture of a configuration.
  ///
  /// - Throws: ``TransformerError`` naming those known, or what `model_type` should be.
  static func named(by config: ModelConfig) throws -> any Architecture.Type {
    let found = config.architectures.first
    guard let architecture = all.first(where: { $0.name == found }) else {
      throw TransformerError(
        .unsupported,
        "\(config.path): architectures: expected one of \(names.joined(separator: ", ")), got \(found ?? "nothing")")
    }
    // transformers goes by the model's type, and what it computes then is not what the class's name promises.
    if let modelType = config.modelType, !architecture.modelTypes.contains(modelType) {
      throw TransformerError(
        .unsupported,
        "\(config.path): model_type: expected \(architecture.modelTypes.joined(separator: " or ")), which goes with "
          + "\(architecture.name) in architectures, got \(JSONValue.string(modelType).text(indented: false))")
    }
    return architecture
  }
}
