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

  @Test func embeddingsAreTheRowsOfTheMatrix() throws {
    let golden = try GoldenModel("gqa-tied")
    let table = try golden.checkpoint.floats("model.embed_tokens.weight")
    let hidden = try golden.model.embed(tokens: [[7, 0, 7], [60, 1, 2]], from: golden.checkpoint)
    let rows = [7, 0, 7, 60, 1, 2].map { Array(table[$0 * 32..<($0 + 1) * 32]) }
    #expect(hidden.values == Array(rows.joined()))
  }
}
