import CRVQ
import Checkpoint
import Transformer

/// The model and tokens of a job that makes a packed model, opened: configuration, headers and token ids are read and checked, no
/// weights.
struct OpenedInputs: Sendable {
  let config: ModelConfig
  let model: LanguageModel
  let checkpoint: Checkpoint
  let tokens: TokenFile

  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CoordinatorError``: one line that names the file.
  init(_ options: JobOptions) throws {
    config = try ModelConfig(directory: options.model, known: Architectures.names)
    if config.quantization != nil {
      throw CoordinatorError.badInput(
        "\(options.model): is packed itself (config.json has a quantization_config); --model takes the original")
    }
    model = try LanguageModel(config: config)
    checkpoint = try Checkpoint(directory: options.model)
    try model.validate(checkpoint)
    try model.validateTie(in: checkpoint)
    for tensor in model.tensors { try checkpoint.shard(of: tensor.name).requireFloatingPoint(tensor.name) }
    try Self.requireFreeNames(model, checkpoint)
    try UnfinishedDirectory.checkCompanions(in: options.model)
    tokens = try TokenFile(path: options.calibration, vocabularySize: model.shape.vocabularySize)
    guard options.sequences <= tokens.sequenceCount else {
      throw CoordinatorError.badInput(
        "\(options.calibration): the job uses \(options.sequences) sequences, the file has \(tokens.sequenceCount)")
    }
    try model.shape.check(tokens)
  }
}

extension OpenedInputs {
  /// Checks that no tensor of the original has a name by which readers of the output would take it for part of a packed linear.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput`.
  private static func requireFreeNames(_ model: LanguageModel, _ checkpoint: Checkpoint) throws {
    let paths = (0..<model.blockCount).flatMap { block in model.linears.map { $0.path(block: block) } }
    let parts = Set(paths.flatMap(PackedPart.names))
    for name in checkpoint.tensorNames where parts.contains(name) || name.hasSuffix(PackedPart.codes.suffix) {
      throw CoordinatorError.badInput(
        "\(checkpoint.path(of: name)): tensor \(name): the output would have it for part of a packed linear; remove or rename it"
      )
    }
  }

  /// Looks at all values outside the blocks, which no worker reads before the end. Each block's are looked at by its first task.
  ///
  /// - Throws: ``CheckpointError`` naming the first that is no finite number.
  func requireFiniteOutsideBlocks() throws {
    for tensor in model.tensors where TensorSpec.block(ofTensor: tensor.name) == nil {
      try checkpoint.requireFinite(tensor.name)
    }
  }

  /// Looks at the values of the blocks that a tune or a distillation stores as binary16, norms and biases.
  ///
  /// - Throws: ``CheckpointError`` naming the first that binary16 does not hold.
  func requireTunable() throws {
    for tensor in (0..<model.blockCount).flatMap(model.otherTensors(ofBlock:)) {
      try checkpoint.forEachFewRowsFittingHalf(of: tensor.name) { _ in }
    }
  }
}

extension DecoderShape {
  /// Checks that the model's attention reaches over the whole sequences of a file. Otherwise the first worker would find out.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput`.
  func check(_ tokens: TokenFile) throws(CoordinatorError) {
    try check(length: tokens.length, of: "\(tokens.path): sequences") { lengthMax in
      "make shorter ones with scripts/tokenize --length \(lengthMax)"
    }
  }

  /// The windows of a token file that the model is measured on.
  ///
  /// - Parameters:
  ///   - length: tokens a window; of shorter sequences, each is one.
  ///   - countMax: nil for all.
  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CoordinatorError``: one line that names the file.
  func windows(of tokens: TokenFile, length: Int, countMax: Int?) throws -> TokenWindows {
    let windows = try TokenWindows(of: tokens, length: length, countMax: countMax ?? .max)
    try check(length: windows.length, of: "\(tokens.path): windows") { "use --window \($0)" }
    return windows
  }

  /// - Parameters:
  ///   - length: in tokens.
  ///   - what: the file and what of it has that length: "tokens.safetensors: windows".
  ///   - remedy: what to do, given the longest length that the model can be run on.
  /// - Throws: ``CoordinatorError`` `.badInput`.
  private func check(length: Int, of what: String, remedy: (_ lengthMax: Int) -> String) throws(CoordinatorError) {
    guard let lengthMax, length > lengthMax else { return }
    throw .badInput(
      "\(what) of \(length) tokens, expected at most \(lengthMax), the model's sliding_window; \(remedy(lengthMax))")
  }
}
