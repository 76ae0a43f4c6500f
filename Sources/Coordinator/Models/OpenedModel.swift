import CRVQ
import Checkpoint
import Foundation
import Numerics
import Transformer

/// A model directory, original or packed, opened for the commands that work without a cluster.
public struct OpenedModel: Sendable {
  public let directory: String
  public let config: ModelConfig
  public let model: LanguageModel
  public let checkpoint: Checkpoint
  /// nil for an original model.
  public let packed: PackedTensors?

  /// All tensors, packed linears decoded as they are read, with a team's help.
  public func tensors(_ team: ThreadTeam) -> any TensorSource { packed?.decoded(by: team) ?? checkpoint }

  /// Opens a model of either kind and checks that all its tensors are there.
  ///
  /// - Throws: ``CheckpointError``, ``CRVQError``, ``TransformerError``: one line that names the file.
  public init(_ directory: String) throws {
    self.directory = directory
    config = try ModelConfig(directory: directory, known: Architectures.names)
    model = try LanguageModel(config: config)
    checkpoint = try Checkpoint(directory: directory)
    packed = config.quantization == nil ? nil : try PackedTensors(checkpoint, config: config)
    let tensors: any TensorSource = packed ?? checkpoint
    try model.validate(tensors)
    if packed == nil { try model.validateTie(in: checkpoint) }
  }

  /// ``LanguageModel/noteOfUnread(in:of:)`` of this one.
  var noteOfUnread: String? {
    let tensors: any TensorSource = packed ?? checkpoint
    return model.noteOfUnread(in: tensors, of: directory)
  }

  /// Opens a packed model.
  ///
  /// - Throws: as ``init(_:)``, and where it is not packed.
  public static func packed(_ directory: String) throws -> (model: OpenedModel, packed: PackedTensors) {
    let model = try OpenedModel(directory)
    guard let packed = model.packed else {
      throw CoordinatorError.badInput("\(directory): not a packed model: config.json has no quantization_config")
    }
    return (model, packed)
  }
}

extension LanguageModel {
  /// A line for the user about tensors that the model does not read, as transformers gives one: a configuration that says nothing
  /// of biases that are there makes another model of the checkpoint than was meant.
  ///
  /// - Returns: nil if there is none but frequencies, which older checkpoints have and newer models compute.
  func noteOfUnread(in source: some TensorSource, of directory: String) -> String? {
    let names = unread(in: source).filter { !$0.hasSuffix(".rotary_emb.inv_freq") }.sorted()
    if names.isEmpty { return nil }
    let more = names.count > 3 ? " and \(names.count - 3) more" : ""
    return "\(directory): \(names.prefix(3).joined(separator: ", "))\(more) \(names.count == 1 ? "is" : "are") not of "
      + "\(architecture) as config.json describes it, and not used"
  }
}
