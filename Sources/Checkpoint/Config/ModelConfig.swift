/// A model's config.json: the dimensions of a Llama-like transformer, and the document itself to be passed on.
///
/// Which architectures can be run is not decided here; the module that runs them gives their names.
public struct ModelConfig: Sendable, Equatable {
  /// The file, for messages.
  public let path: String
  /// `architectures`: the class names of transformers, the first of which counts.
  public let architectures: [String]
  /// `model_type`: the name by which transformers chooses the class, whatever `architectures` says; nil for none.
  public let modelType: String?
  /// `hidden_size`: the width of the residual stream.
  public let hiddenSize: Int
  /// `intermediate_size`: the width inside the MLP.
  public let intermediateSize: Int
  /// `num_hidden_layers`: transformer blocks.
  public let blockCount: Int
  /// `num_attention_heads`: query heads.
  public let headCount: Int
  /// `num_key_value_heads`; divides ``headCount``, and is the same where nothing is said.
  public let keyValueHeadCount: Int
  /// `head_dim`: the width of a head, even.
  public let headSize: Int
  /// `rms_norm_eps`; 1e-6 where nothing is said.
  public let normEpsilon: Double
  /// `rope_theta` and `rope_scaling`, or `rope_parameters`.
  public let rotary: RotaryEmbedding
  /// `vocab_size`.
  public let vocabularySize: Int
  /// `tie_word_embeddings`: the head is the embedding matrix.
  public let tiesEmbeddings: Bool
  /// `attention_bias`: q, k, v and o have biases.
  public let attentionBias: Bool
  /// `mlp_bias`: gate, up and down have biases.
  public let mlpBias: Bool
  /// `quantization_config`, unread.
  public let quantization: JSONValue?
  /// The whole document.
  public let document: JSONValue

  /// The file's name in a model directory.
  public static let fileName = "config.json"
  /// The longest config.json that is read.
  public static let byteCountMax = 16 << 20

  static let sizeLimits = 1...(1 << 24)
  static let blockLimits = 1...10_000
  static let headLimits = 1...65_536
  static let positionLimits = 1...(1 << 30)

  /// Reads `directory/config.json`.
  ///
  /// - Parameter known: the architectures that can be used, checked before any dimension so that a model of another kind
  ///   is named as such; nil to read whatever has the Llama family's keys.
  /// - Throws: ``CheckpointError``: missing, io, malformed JSON, or mismatch with the key, what is expected and what is there.
  public init(directory: String, known: [String]? = nil) throws {
    // One that is not there is the missing file's to tell.
    _ = try isModelDirectory(directory)
    let path = joined(directory, Self.fileName)
    try self.init(text: AtomicFile.read(path, byteCountMax: Self.byteCountMax), path: path, known: known)
  }

  /// As ``init(directory:known:)`` for the bytes of the file; `path` appears in messages.
  public init(text bytes: [UInt8], path: String, known: [String]? = nil) throws {
    do {
      try self.init(document: JSONValue(parsing: bytes), path: path, known: known)
    } catch let error as JSONSyntaxError {
      throw CheckpointError(.malformed, path: path, "\(error)")
    }
  }

  /// As ``init(directory:known:)`` for a document in memory; `path` appears in messages.
  public init(document: JSONValue, path: String, known: [String]? = nil) throws {
    guard let members = document.object else {
      throw CheckpointError(.malformed, path: path, "expected an object, got \(document.shown)")
    }
    let config = ConfigReader(path: path, members: members)
    self.path = path
    self.document = document
    architectures = try config.textList("architectures")
    if let known, !known.contains(architectures.first ?? "") {
      let found = architectures.first ?? "nothing"
      throw config.mismatch("architectures", "one of \(known.sorted().joined(separator: ", "))", found)
    }

    modelType = try config.textIfPresent("model_type")
    hiddenSize = try config.integer("hidden_size", Self.sizeLimits)
    intermediateSize = try config.integer("intermediate_size", Self.sizeLimits)
    blockCount = try config.integer("num_hidden_layers", Self.blockLimits)
    vocabularySize = try config.integer("vocab_size", Self.sizeLimits)
    headCount = try config.integer("num_attention_heads", Self.headLimits)
    keyValueHeadCount = try Self.keyValueHeadCount(config, headCount: headCount)
    headSize = try Self.headSize(config, hiddenSize: hiddenSize, headCount: headCount)
    normEpsilon = try config.numberIfPresent("rms_norm_eps", 0...1) ?? 1e-6
    rotary = try RotaryEmbedding(config)

    tiesEmbeddings = try config.flag("tie_word_embeddings", default: false)
    attentionBias = try config.flag("attention_bias", default: false)
    mlpBias = try config.flag("mlp_bias", default: false)
    quantization = config.value("quantization_config")

    // Two names of one function.
    if let activation = try config.textIfPresent("hidden_act"), !["silu", "swish"].contains(activation) {
      throw config.mismatch("hidden_act", "silu or swish", JSONValue.quoted(activation))
    }
  }

  private static func keyValueHeadCount(_ config: ConfigReader, headCount: Int) throws -> Int {
    let count = try config.integerIfPresent("num_key_value_heads", headLimits) ?? headCount
    if headCount % count != 0 {
      throw config.mismatch("num_key_value_heads", "a divisor of num_attention_heads (\(headCount))", "\(count)")
    }
    return count
  }

  private static func headSize(_ config: ConfigReader, hiddenSize: Int, headCount: Int) throws -> Int {
    let given = try config.integerIfPresent("head_dim", headLimits)
    if given == nil && hiddenSize % headCount != 0 {
      throw config.mismatch("hidden_size", "a multiple of num_attention_heads (\(headCount))", "\(hiddenSize)")
    }
    let size = given ?? hiddenSize / headCount
    // Rotary embeddings turn pairs of channels.
    if size % 2 != 0 { throw config.mismatch("head_dim", "an even number", "\(size)") }
    guard size * headCount <= sizeLimits.upperBound else {
      throw config.mismatch("head_dim", "at most \(sizeLimits.upperBound) over all \(headCount) heads", "\(size)")
    }
    return size
  }

  /// The document with `quantization_config` set and all else as it was: names sorted, numbers as they were written.
  public func configJSON(adding quantization: JSONValue) -> String {
    var members = document.object ?? [:]
    members["quantization_config"] = quantization
    return JSONValue.object(members).text(indented: true) + "\n"
  }

  /// The document without `quantization_config`, as ``configJSON(adding:)``: what an exported float model says.
  ///
  /// - Parameter elementTypeName: the new `torch_dtype` ("float16"), if the weights' type has changed. It keeps the
  ///   name that it has: `torch_dtype` or, of newer versions of transformers, `dtype`; both if both are there.
  public func configJSON(withoutQuantizationAs elementTypeName: String? = nil) -> String {
    var members = document.object ?? [:]
    members["quantization_config"] = nil
    if let elementTypeName {
      let present = ["dtype", "torch_dtype"].filter { members[$0] != nil }
      for key in present.isEmpty ? ["torch_dtype"] : present { members[key] = .string(elementTypeName) }
    }
    return JSONValue.object(members).text(indented: true) + "\n"
  }
}
