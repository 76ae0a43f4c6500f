import Checkpoint
import JobGraph
import Transformer

/// The sizes of a job that decide what its workers need: the model's shapes and those of the tokens.
public struct JobShape: Sendable, Equatable {
  public var decoder: DecoderShape
  /// Tokens a calibration sequence, or a window of an evaluation.
  public var length: Int
  /// Sequences of each shard.
  public var shards: [Int]
  public var isStudent: Bool
  public var isRepaired: Bool
  public var isTuned: Bool
  /// Whether a model is measured and none made. A shard is then one window.
  public var isEvaluation: Bool

  public init(
    decoder: DecoderShape, length: Int, shards: [Int], isStudent: Bool = false, isRepaired: Bool = true,
    isTuned: Bool = false, isEvaluation: Bool = false
  ) {
    self.decoder = decoder
    self.length = length
    self.shards = shards
    self.isStudent = isStudent
    self.isRepaired = isRepaired
    self.isTuned = isTuned
    self.isEvaluation = isEvaluation
  }

  /// Reads the model's configuration and the header of the token file.
  ///
  /// - Throws: as ``PreparedJob/create(_:in:)``.
  public init(_ options: JobOptions) throws {
    let config = try ModelConfig(directory: options.model, known: Architectures.names)
    let model = try LanguageModel(config: config)
    let tokens = try TokenFile(path: options.calibration, vocabularySize: config.vocabularySize)
    self.init(
      decoder: model.shape, length: tokens.length, shards: options.plannedShards.map(\.sequenceCount),
      isStudent: options.propagation == JobPlan.Propagation.student.rawValue, isRepaired: options.repair,
      isTuned: options.tuneEpochs > 0)
  }

  /// Reads the model's configuration.
  ///
  /// - Throws: as ``PreparedJob/create(_:in:)``.
  public init(_ options: EvaluationOptions) throws {
    let model = try LanguageModel(config: ModelConfig(directory: options.model, known: Architectures.names))
    self.init(
      decoder: model.shape, length: options.window, shards: Array(repeating: 1, count: options.windows),
      isRepaired: false, isEvaluation: true)
  }

  var linears: [LinearSpec] { LinearRole.allCases.map(decoder.linear) }
  var sequences: Int { shards.reduce(0, +) }
  /// Weights of a block.
  var blockWeights: Double { linears.reduce(0) { $0 + Double($1.weightCount) } }
}
