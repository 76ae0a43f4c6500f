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
