import Checkpoint
import JobGraph
import Transformer

/// The sizes of a job that decide what its workers need: the model's shapes and those of the tokens.
public struct JobShape: Sendable, Equatable {
  public var decoder: DecoderShape
  /// Tokens a calibration sequence, or a window of an evaluation.
  public var length: Int
  /// Sequences of each shard; a window is one.
  public var shards: [Int]
  public var purpose: Purpose

  public enum Purpose: Sendable, Equatable {
    /// A model is made.
    case quantization(isRepaired: Bool, tuneEpochs: Int, distillation: Distillation? = nil)
    /// A model is measured.
    case evaluation
  }

  /// What decides the size of a distillation.
  public struct Distillation: Sendable, Equatable {
    public var epochs: Int
    /// Values of a linear's codebooks.
    public var codebookValues: Int

    public init(epochs: Int, codebookValues: Int) {
      self.epochs = epochs
      self.codebookValues = codebookValues
    }
  }

  public init(decoder: DecoderShape, length: Int, shards: [Int], purpose: Purpose) {
    self.decoder = decoder
    self.length = length
    self.shards = shards
    self.purpose = purpose
  }

  /// Reads the model's configuration and headers, and the token file.
  ///
  /// - Throws: as ``PreparedJob/create(_:in:)``, for all that is wrong with them short of single weights.
  public init(_ options: JobOptions) throws {
    let opened = try OpenedInputs(options)
    let format = options.fit.format
    let codebookValues = format.codebookBits.reduce(0) { $0 + format.groupSize << $1 }
    self.init(
      decoder: opened.model.shape, length: opened.tokens.length, shards: options.plannedShards.map(\.sequenceCount),
      purpose: .quantization(
        isRepaired: options.repair, tuneEpochs: options.tuneEpochs,
        distillation: options.distillEpochs.map { Distillation(epochs: $0, codebookValues: codebookValues) }))
  }

  /// Reads the model's configuration.
  ///
  /// - Throws: as ``PreparedJob/create(_:in:)``.
  public init(_ options: EvaluationOptions) throws {
    let model = try LanguageModel(config: ModelConfig(directory: options.model, known: Architectures.names))
    self.init(
      decoder: model.shape, length: options.window, shards: Array(repeating: 1, count: options.windows),
      purpose: .evaluation)
  }

  var linears: [LinearSpec] { decoder.linears }
  var sequences: Int { shards.reduce(0, +) }
  var tokens: Double { Double(sequences) * Double(length) }
  /// Weights of a block.
  var blockWeights: Double { linears.reduce(0) { $0 + Double($1.weightCount) } }
}
