import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Transformer

/// Everything that decides the perplexity that workers measure. How many there are is not among it.
public struct EvaluationOptions: Codable, Sendable, Equatable {
  /// The directory of an original or a packed model, absolute.
  public let model: String
  /// The token file, absolute.
  public let tokens: String
  /// Tokens in each window.
  public let window: Int
  /// Windows in use, the first ones of the file.
  public let windows: Int

  /// Workers are told of every window when they join.
  public static let windowsMax = 16_384

  /// Reads the model's configuration and the token file.
  ///
  /// - Parameters:
  ///   - window: tokens a window; of shorter sequences, each is one.
  ///   - maximumWindows: nil for all.
  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CoordinatorError``: one line that names the file.
  public init(model: String, tokens: String, window: Int, maximumWindows: Int?) throws {
    let shape = try LanguageModel(config: ModelConfig(directory: model, known: Architectures.names)).shape
    let file = try TokenFile(path: tokens, vocabularySize: shape.vocabularySize)
    let cut = try shape.windows(of: file, length: window, countMax: maximumWindows)
    guard cut.count <= Self.windowsMax else {
      throw CoordinatorError.usage(
        "\(tokens): \(cut.count) windows of \(cut.length) tokens, workers are given at most \(Self.windowsMax); "
          + "use --max-windows or a larger --window, or evaluate without workers")
    }
    self.model = model
    self.tokens = tokens
    self.window = cut.length
    windows = cut.count
  }

  /// nil if the text is of another kind of job.
  init?(json: String) {
    guard let options = try? JSONForm.value(Self.self, ofRecord: json) else { return nil }
    self = options
  }
}

extension EvaluationOptions: JobPurpose {
  var isResumable: Bool { false }

  func wireOptions() -> WireJobOptions {
    // Nothing is fitted, so that the rest are defaults.
    var options = WireJobOptions(FitOptions(), .teacher)
    options.window = UInt32(window)
    return options
  }

  /// Workers make numbers only, and those have been looked at.
  func check(_ result: StoredResult, of job: PreparedJob) {}

  /// The losses are in the job's database, and that is all there is to make.
  func conclude(
    _ job: PreparedJob, _ blocks: [ArtifactRef], _ distilled: ArtifactRef?, checkStop: () throws -> Void
  ) {}
}
