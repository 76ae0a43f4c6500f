import Checkpoint
import Numerics
import TestSupport
import Testing
import Transformer

@Suite struct LanguageModelTests {
  private let team = ThreadTeam(threads: 1)

  private func config(_ name: String, changing changes: [String: JSONValue]) throws -> ModelConfig {
    let original = try ModelConfig(directory: GoldenModel.directory(name))
    let members = (original.document.object ?? [:]).merging(changes) { $1 }
    return try ModelConfig(document: .object(members), path: "config.json")
  }

  @Test func anUnknownArchitectureIsRefusedNamingThoseKnown() throws {
    let config = try config("gqa-tied", changing: ["architectures": .array([.string("GPTNeoXForCausalLM")])])
    #expect(
      throws: TransformerError(
        .unsupported,
        "config.json: architectures: expected one of LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, "
          + "got GPTNeoXForCausalLM")
    ) { try LanguageModel(config: config) }
  }

  /// transformers goes by the type, whatever the class.
  @Test func aModelTypeOfAnotherArchitectureIsRefused() throws {
    for (name, expected, other) in [
      ("gqa-tied", "llama, which goes with LlamaForCausalLM", "qwen2"),
      ("mistral", "mistral, which goes with MistralForCausalLM", "llama"),
      ("qwen2", "qwen2, which goes with Qwen2ForCausalLM", "qwen3"),
    ] {
      let message = "config.json: model_type: expected \(expected) in architectures, got \"\(other)\""
      let config = try config(name, changing: ["model_type": .string(other)])
      #expect(throws: TransformerError(.unsupported, message)) { try LanguageModel(config: config) }
    }
    let silent = try config("gqa-tied", changing: ["model_type": .null])
    #expect(try LanguageModel(config: silent).architecture == "LlamaForCausalLM")
  }

  /// As in transformers; a null is as many as query heads.
  @Test(arguments: [("mistral", 8), ("qwen2", 32)]) func keyValueHeadsThatAreNotMentioned(
    name: String, usual: Int
  ) throws {
    func model(_ heads: Int, changing changes: [String: JSONValue] = [:]) throws -> LanguageModel {
      let sizes: [String: JSONValue] = ["num_attention_heads": .number("\(heads)"), "head_dim": .number("10")]
      var members = try config(name, changing: sizes).document.object ?? [:]
      members["num_key_value_heads"] = nil
      return try LanguageModel(
        config: ModelConfig(document: .object(members.merging(changes) { $1 }), path: "config.json"))
    }
    #expect(try model(64).shape.keyValueHeadCount == usual)
    #expect(try model(64, changing: ["num_key_value_heads": .null]).shape.keyValueHeadCount == 64)
    #expect(
      throws: CheckpointError(
        .mismatch, path: "config.json",
        "num_key_value_heads: expected a divisor of num_attention_heads (4), got nothing, which is \(usual) in this "
          + "architecture")
    ) { try model(4) }
  }

  @Test(arguments: GoldenModel.names) func tensorsAreExactlyThoseOfTheCheckpoint(name: String) throws {
    let golden = try GoldenModel(name)
    #expect(golden.model.tensors.map(\.name).sorted() == golden.checkpoint.tensorNames)
    for tensor in golden.model.tensors { #expect(golden.checkpoint.shape(of: tensor.name) == tensor.shape) }
  }

  @Test func linearsAreNamedAndPlaced() throws {
    let model = try GoldenModel("mqa-biases").model
    let linears = model.linears
    #expect(
      linears.map(\.name) == [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
        "mlp.down_proj",
      ])
    #expect(
      linears.map(\.site.rawValue) == ["attn_in", "attn_in", "attn_in", "attn_out", "mlp_in", "mlp_in", "mlp_hidden"])
    #expect(linears[0].tensorName(block: 1) == "model.layers.1.self_attn.q_proj.weight")
    #expect(linears[0].biasName(block: 1) == "model.layers.1.self_attn.q_proj.bias")
    #expect(linears.map(\.outFeatures) == [48, 8, 8, 30, 33, 33, 30])
    #expect(linears.map(\.inFeatures) == [30, 30, 30, 48, 30, 30, 33])
    #expect(try GoldenModel("gqa-tied").model.linears.allSatisfy { $0.biasName(block: 0) == nil })
    #expect(try GoldenModel("qwen2").model.linears.filter(\.hasBias).map(\.role) == [.query, .key, .value])
  }

  @Test func aMissingTensorIsNamed() throws {
    let golden = try GoldenModel("gqa-tied")
    for name in ["model.layers.1.mlp.up_proj.weight", "model.norm.weight", "model.embed_tokens.weight"] {
      var source = try MemorySource(copying: golden.checkpoint)
      let shape = try #require(source.tensors.removeValue(forKey: name)?.shape)
      #expect(
        throws: CheckpointError(.missing, path: "model", "no tensor \(name); expected one of shape \(shape)")
      ) { try golden.model.validate(source) }
    }
  }

  @Test func aHeadBesideTiedEmbeddingsIsTheSame() throws {
    let golden = try GoldenModel("gqa-tied")
    var source = try MemorySource(copying: golden.checkpoint)
    let name = "lm_head.weight"
    let embeddings = "model.embed_tokens.weight"
    try golden.model.validateTie(in: source)
    source.tensors[name] = source.tensors[embeddings]
    try golden.model.validateTie(in: source)
    source.tensors[name]?.values[5 * 32 + 2] += 1
    #expect(
      throws: CheckpointError(
        .mismatch, path: "model",
        "tensor \(name): expected the values of \(embeddings), as tie_word_embeddings in config.json says, got others "
          + "in row 5; set it to false, or remove the tensor")
    ) { try golden.model.validateTie(in: source) }
    source.tensors[name]?.shape = [32, 61]
    #expect(
      throws: CheckpointError(.mismatch, path: "model", "tensor \(name): expected shape [61, 32], got [32, 61]")
    ) { try golden.model.validateTie(in: source) }

    let untied = try GoldenModel("mha-untied")
    try untied.model.validateTie(in: untied.checkpoint)
  }

  @Test func aTensorOfAnotherShapeIsNamed() throws {
    let golden = try GoldenModel("gqa-tied")
    var source = try MemorySource(copying: golden.checkpoint)
    let name = "model.layers.0.self_attn.k_proj.weight"
    source.tensors[name]?.shape = [32, 16]
    let error = CheckpointError(
      .mismatch, path: "model", "tensor \(name): expected shape [16, 32], got [32, 16]")
    #expect(throws: error) { try golden.model.validate(source) }
    #expect(throws: error) { try golden.model.loadBlock(0, from: source) }
  }

  @Test(arguments: [Float.nan, .infinity]) func aWeightThatIsNotFiniteIsRefusedWithItsPlace(bad: Float) throws {
    let golden = try GoldenModel("gqa-tied")
    var source = try MemorySource(copying: golden.checkpoint)
    let name = "model.layers.1.self_attn.k_proj.weight"
    source.tensors[name]?.values[3 * 32 + 7] = bad
    #expect(
      throws: CheckpointError(
        .malformed, path: "model", "tensor \(name): expected finite values, got \(bad) at [3, 7]")
    ) { try golden.model.loadBlock(1, from: source) }
    _ = try golden.model.loadBlock(0, from: source)

    source.tensors["model.embed_tokens.weight"]?.values[5 * 32 + 2] = bad
    #expect(throws: CheckpointError.self) { try golden.model.embed(tokens: [[4, 5]], from: source) }
    #expect(throws: CheckpointError.self) { try golden.model.loadHead(from: source) }
    _ = try golden.model.embed(tokens: [[4, 6]], from: source)
  }

  @Test func aBlockThatIsNotThereIsRefused() throws {
    let golden = try GoldenModel("gqa-tied")
    #expect(throws: TransformerError(.invalidInput, "expected a block from 0 to 1, got 2")) {
      try golden.model.loadBlock(2, from: golden.checkpoint)
    }
  }

  @Test func tokensThatDoNotFitAreRefused() throws {
    let golden = try GoldenModel("gqa-tied")
    #expect(
      throws: TransformerError(
        .invalidInput, "tokens: sequence 1, position 0: expected an id from 0 to 60, got 61")
    ) { try golden.model.embed(tokens: [[0, 60], [61, 0]], from: golden.checkpoint) }
    for tokens: [[Int32]] in [[], [[]], [[1, 2], [1]], [[1, -1]]] {
      #expect(throws: TransformerError.self) { try golden.model.embed(tokens: tokens, from: golden.checkpoint) }
    }
  }

  @Test func sequencesLongerThanASlidingWindowAreRefused() throws {
    let golden = try GoldenModel("mistral")
    let model = try LanguageModel(config: config("mistral", changing: ["sliding_window": .number("4")]))
    var short = try model.embed(tokens: [[1, 2, 3, 4]], from: golden.checkpoint)
    var long = try model.embed(tokens: [[1, 2, 3, 4, 5]], from: golden.checkpoint)
    let block = try model.loadBlock(0, from: golden.checkpoint)
    try block.forward(&short, team: team)
    #expect(throws: TransformerError.self) { try block.forward(&long, team: team) }
  }

  /// As transformers does: where nothing is said there is a window, and a null is none.
  @Test func aWindowThatIsNotMentionedIsTheUsualOne() throws {
    let written = try ModelConfig(directory: GoldenModel.directory("mistral"))
    #expect(try LanguageModel(config: written).shape.lengthMax == nil)
    let members = (written.document.object ?? [:]).filter { $0.key != "sliding_window" }
    let silent = try ModelConfig(document: .object(members), path: "config.json")
    #expect(try LanguageModel(config: silent).shape.lengthMax == 4096)
  }

  /// Qwen2's configurations have a window whether it is in use or not.
  @Test func aWindowCountsWhereItIsUsed() throws {
    for (isUsed, lengthMax) in [(true, 32), (false, nil)] as [(Bool, Int?)] {
      #expect(try windowed(["use_sliding_window": .bool(isUsed)]).shape.lengthMax == lengthMax)
    }
  }

  /// A Qwen2 of two blocks whose second is limited to 32 tokens, but for changes.
  private func windowed(_ changes: [String: JSONValue]) throws -> LanguageModel {
    let window: [String: JSONValue] = [
      "use_sliding_window": .bool(true), "sliding_window": .number("32"), "layer_types": .null,
      "max_window_layers": .number("1"),
    ]
    return try LanguageModel(config: config("qwen2", changing: window.merging(changes) { $1 }))
  }

  private func types(_ names: String...) -> JSONValue { .array(names.map { .string("\($0)_attention") }) }

  @Test func aWindowThatLimitsNoBlockIsNone() throws {
    for last in [JSONValue.number("2"), .number("28"), .null] {
      #expect(try windowed(["max_window_layers": last]).shape.lengthMax == nil)
    }
    #expect(try windowed(["layer_types": types("full", "full")]).shape.lengthMax == nil)
    let sliding: [String: JSONValue] = ["layer_types": types("sliding", "full"), "max_window_layers": .number("2")]
    #expect(try windowed(sliding).shape.lengthMax == 32)
    #expect(try windowed(["sliding_window": .null]).shape.lengthMax == nil)
  }

  @Test func typesOfLayersThatCannotBe() throws {
    let path = "config.json"
    #expect(
      throws: CheckpointError(.mismatch, path: path, "layer_types: expected as many as num_hidden_layers (2), got 1")
    ) { try windowed(["layer_types": types("full")]) }
    let expected = "layer_types: expected full_attention or sliding_attention for each layer"
    #expect(throws: CheckpointError(.mismatch, path: path, "\(expected), got \"linear_attention\"")) {
      try windowed(["layer_types": types("full", "linear")])
    }
  }

  @Test func embeddingsAreTheRowsOfTheMatrix() throws {
    let golden = try GoldenModel("gqa-tied")
    let table = try golden.checkpoint.floats("model.embed_tokens.weight")
    let hidden = try golden.model.embed(tokens: [[7, 0, 7], [60, 1, 2]], from: golden.checkpoint)
    let rows = [7, 0, 7, 60, 1, 2].map { Array(table[$0 * 32..<($0 + 1) * 32]) }
    #expect(hidden.values == Array(rows.joined()))
  }
}
