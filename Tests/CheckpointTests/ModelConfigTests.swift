import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct ModelConfigTests {
  /// SmolLM2's, shortened.
  private let base = """
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
     "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
     "rms_norm_eps": 1e-05, "rope_theta": 100000, "rope_scaling": null, "tie_word_embeddings": true,
     "attention_bias": false, "max_position_embeddings": 8192, "hidden_act": "silu", "bos_token_id": 1,
     "eos_token_id": 2, "torch_dtype": "bfloat16", "initializer_range": 0.041666666666666664, "use_cache": true}
    """

  /// The base with members set, or removed if nil.
  private func document(_ changes: [String: String?] = [:]) throws -> JSONValue {
    var members = try JSONValue(parsing: base.utf8).object ?? [:]
    for (key, text) in changes { members[key] = try text.map { try JSONValue(parsing: $0.utf8) } }
    return .object(members)
  }

  private func config(_ changes: [String: String?] = [:], known: [String]? = nil) throws -> ModelConfig {
    try ModelConfig(document: document(changes), path: "m/config.json", known: known)
  }

  @Test func fieldsOfTheLlamaFamily() throws {
    let config = try config()
    #expect(config.architectures == ["LlamaForCausalLM"])
    #expect(config.hiddenSize == 576 && config.intermediateSize == 1536 && config.blockCount == 30)
    #expect(config.headCount == 9 && config.keyValueHeadCount == 3 && config.headSize == 64)
    #expect(config.normEpsilon == 1e-5 && config.rotary == RotaryEmbedding(theta: 100_000, scaling: .none))
    #expect(config.vocabularySize == 49152 && config.tiesEmbeddings && !config.attentionBias && !config.mlpBias)
    #expect(config.quantization == nil)
  }

  @Test func defaultsOfAbsentAndNullKeys() throws {
    for absent in [nil, "null"] as [String?] {
      let config = try config([
        "num_key_value_heads": absent, "head_dim": absent, "rope_theta": absent, "tie_word_embeddings": absent,
        "attention_bias": absent, "mlp_bias": absent, "max_position_embeddings": absent, "hidden_act": absent,
        "bos_token_id": absent, "eos_token_id": absent, "torch_dtype": absent,
        "model_type": absent, "rms_norm_eps": absent,
      ])
      #expect(config.keyValueHeadCount == 9 && config.headSize == 64 && config.rotary.theta == 10_000)
      #expect(!config.tiesEmbeddings && config.modelType == nil && config.normEpsilon == 1e-6)
    }
  }

  @Test func keysOfNewerAndOlderVersions() throws {
    #expect(try config(["head_dim": "80"]).headSize == 80)
    let parameters = "{\"rope_theta\": 500000.0, \"rope_type\": \"linear\", \"factor\": 4.0}"
    #expect(
      try config(["rope_theta": nil, "rope_scaling": nil, "rope_parameters": parameters]).rotary
        == RotaryEmbedding(theta: 500_000, scaling: .linear(factor: 4)))
    #expect(
      try config(["rope_scaling": "{\"type\": \"linear\", \"factor\": 2}"]).rotary.scaling == .linear(factor: 2))
    #expect(
      try config(["rope_theta": nil, "rope_parameters": "{\"rope_theta\": 10000.0}"]).rotary
        == RotaryEmbedding(theta: 10_000, scaling: .none))
    for text in ["{\"rope_type\": \"default\"}", "{}", "{\"factor\": 2}"] {
      #expect(
        try config(["rope_scaling": text]).rotary == RotaryEmbedding(theta: 100_000, scaling: .none), "\(text)")
    }
    #expect(try config(["hidden_act": "\"swish\""]).hiddenSize == 576)
    #expect(try config().modelType == "llama")
  }

  /// An empty object says nothing that the other one could contradict.
  @Test func anEmptyObjectIsNone() throws {
    let linear = "{\"rope_type\": \"linear\", \"factor\": 2}"
    for (older, newer) in [("{}", linear), (linear, "{}")] {
      #expect(try config(["rope_scaling": older, "rope_parameters": newer]).rotary.scaling == .linear(factor: 2))
    }
  }

  /// Some architectures turn each type of layer in its own way.
  @Test func anEmbeddingForEachTypeOfLayer() throws {
    let nested = "{\"rope_theta\": 1e4, \"full_attention\": {\"rope_type\": \"linear\", \"factor\": 4}}"
    for key in ["rope_scaling", "rope_parameters"] {
      expectError(
        .mismatch, at: "m/config.json", "\(key).full_attention: expected one rotary embedding for all layers, got {"
      ) { _ = try config([key: nested]) }
    }
  }

  private let llama3 = """
    {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
     "rope_type": "llama3"}
    """

  @Test func llama3Scaling() throws {
    #expect(
      try config(["rope_scaling": llama3]).rotary.scaling
        == .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8192))
  }

  /// As in transformers: what stands beside the object comes first, then what stands in it, then the length now.
  @Test(
    arguments: [
      ("128", "8192", 128), (nil, "8192", 8192), (nil, nil, 4096), ("128", nil, 128), (nil, "32.0", 32),
      ("64.0", "32", 64),
    ] as [(String?, String?, Int)]) func originalPositions(beside: String?, inside: String?, expected: Int) throws
  {
    var scaling = try JSONValue(parsing: llama3.utf8).object ?? [:]
    let key = "original_max_position_embeddings"
    scaling[key] = try inside.map { try JSONValue(parsing: $0.utf8) }
    let text = JSONValue.object(scaling).text(indented: false)
    let rotary = try config(["rope_scaling": text, key: beside, "max_position_embeddings": "4096"]).rotary
    #expect(
      rotary.scaling
        == .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: expected))
  }

  @Test func originalPositionsThatAreNoWholeNumber() throws {
    let key = "original_max_position_embeddings"
    expectError(.mismatch, at: "m/config.json", "\(key): expected a whole number from 1", "got 32.5") {
      _ = try config(["rope_scaling": llama3, key: "32.5"])
    }
    var scaling = try JSONValue(parsing: llama3.utf8).object ?? [:]
    scaling[key] = nil
    let text = JSONValue.object(scaling).text(indented: false)
    expectError(.mismatch, at: "m/config.json", "rope_scaling.\(key): expected a whole number", "got nothing") {
      _ = try config(["rope_scaling": text, "max_position_embeddings": nil])
    }
  }

  @Test(arguments: [
    ("{\"rope_type\": \"yarn\", \"factor\": 2}", "rope_scaling.rope_type", "default, linear or llama3", "\"yarn\""),
    ("{\"type\": \"dynamic\"}", "rope_scaling.type", "default, linear or llama3", "\"dynamic\""),
    ("{\"rope_type\": 1}", "rope_scaling.rope_type", "a string", "1"),
    ("{\"rope_type\": \"linear\"}", "rope_scaling.factor", "a number", "nothing"),
    ("{\"rope_type\": \"linear\", \"factor\": 0}", "rope_scaling.factor", "a number from 0.001", "0"),
    ("{\"rope_type\": \"linear\", \"factor\": \"2\"}", "rope_scaling.factor", "a number", "\"2\""),
    ("\"linear\"", "rope_scaling", "an object", "\"linear\""),
    (
      "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
      "rope_scaling.high_freq_factor", "above low_freq_factor", "4.0"
    ),
  ]) func badScaling(text: String, key: String, expected: String, got: String) throws {
    expectError(.mismatch, at: "m/config.json", "\(key): expected", expected, "got \(got)") {
      _ = try config(["rope_scaling": text])
    }
  }

  @Test func bothNamesOfTheRotaryEmbedding() throws {
    let linear = "{\"rope_type\": \"linear\", \"factor\": 2, \"rope_theta\": 5000.0}"
    #expect(
      try config(["rope_scaling": linear, "rope_parameters": linear]).rotary
        == RotaryEmbedding(theta: 5000, scaling: .linear(factor: 2)))
    #expect(try config(["rope_scaling": linear]).rotary.theta == 5000)
    for parameters in ["{\"rope_theta\": 5000.0}", "{\"rope_type\": \"linear\", \"factor\": 2}"] {
      expectError(.mismatch, at: "m/config.json", "rope_scaling: expected nothing, or what rope_parameters says") {
        _ = try config(["rope_scaling": linear, "rope_parameters": parameters])
      }
    }
  }

  /// A generation's keys: not read, whatever they say.
  @Test func keysThatDoNotMatter() throws {
    #expect(try config(["bos_token_id": "[1]", "eos_token_id": "-1"]).hiddenSize == 576)
  }

  @Test func headsThatTurnInPart() throws {
    #expect(try config(["partial_rotary_factor": "1.0"]).headSize == 64)
    expectError(.mismatch, at: "m/config.json", "partial_rotary_factor: expected 1", "got 0.5") {
      _ = try config(["partial_rotary_factor": "0.5"])
    }
    expectError(.mismatch, at: "m/config.json", "rope_parameters.partial_rotary_factor: expected 1", "got 0.25") {
      _ = try config(["rope_parameters": "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25}"])
    }
  }

  @Test(arguments: [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
  ]) func missingKey(key: String) throws {
    expectError(.mismatch, at: "m/config.json", "\(key): expected", "got nothing") { _ = try config([key: nil]) }
  }

  @Test(arguments: [
    ("hidden_size", "0", "from 1"), ("hidden_size", "-576", "from 1"), ("hidden_size", "576.0", "whole number"),
    ("hidden_size", "\"576\"", "whole number"), ("hidden_size", "true", "whole number"),
    ("hidden_size", "99999999999999999999", "16777216"), ("hidden_size", "577", "multiple of num_attention_heads"),
    ("num_hidden_layers", "1000000", "10000"), ("num_key_value_heads", "2", "divisor of num_attention_heads (9)"),
    ("num_key_value_heads", "0", "from 1"), ("head_dim", "63", "even"), ("head_dim", "[]", "whole number"),
    ("rms_norm_eps", "-1", "a number"), ("rms_norm_eps", "1e999", "a number"),
    ("rope_theta", "0", "a number"), ("tie_word_embeddings", "1", "true or false"),
    ("attention_bias", "\"no\"", "true or false"), ("hidden_act", "\"gelu\"", "silu"), ("hidden_act", "1", "a string"),
    ("architectures", "\"LlamaForCausalLM\"", "list of strings"), ("architectures", "[1]", "list of strings"),
    ("vocab_size", "null", "whole number from 1 to 16777216, got null"), ("model_type", "[]", "a string"),
  ]) func badValue(key: String, value: String, expected: String) throws {
    expectError(.mismatch, at: "m/config.json", "\(key): expected", expected, "got") { _ = try config([key: value]) }
  }

  @Test func headsTogetherBeyondTheLimit() throws {
    expectError(.mismatch, at: "m/config.json", "head_dim: expected at most 16777216 over all 512 heads, got 65536") {
      _ = try config(["num_attention_heads": "512", "num_key_value_heads": nil, "head_dim": "65536"])
    }
  }

  @Test func unknownArchitectureIsNamedBeforeAnythingElse() throws {
    let known = ["LlamaForCausalLM", "FriendForCausalLM"]
    #expect(try config(known: known).hiddenSize == 576)
    let message =
      "architectures: expected one of FriendForCausalLM, LlamaForCausalLM, got GPT2LMHeadModel"
    expectError(.mismatch, at: "m/config.json", message) {
      _ = try config(["architectures": "[\"GPT2LMHeadModel\"]", "hidden_size": nil], known: known)
    }
    expectError(.mismatch, at: "m/config.json", "got nothing") { _ = try config(["architectures": nil], known: known) }
  }

  @Test func fileOfADirectory() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("config.json")
    expectError(.missing, at: path, "no such file") { _ = try ModelConfig(directory: directory.path) }
    for text in ["", "hidden_size: 576", "{\"hidden_size\": 1, \"hidden_size\": 2}", "[]"] {
      try directory.write("config.json", text)
      expectError(.malformed, at: path) { _ = try ModelConfig(directory: directory.path) }
    }
    try directory.write("config.json", String(repeating: " ", count: ModelConfig.byteCountMax + 1))
    expectError(.malformed, at: path, "at most") { _ = try ModelConfig(directory: directory.path) }
    try directory.write("config.json", base)
    #expect(try ModelConfig(directory: directory.path).hiddenSize == 576)
  }

  @Test func documentIsPassedOnWithAQuantization() throws {
    let quantization = try JSONValue(parsing: "{\"quant_method\":\"crvq\",\"group_size\":8}".utf8)
    let text = try config().configJSON(adding: quantization)
    #expect(try JSONValue(parsing: text.utf8) == document(["quantization_config": quantization.text(indented: false)]))
    // Numbers as they were written, names sorted.
    #expect(text.hasPrefix("{\n  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n  \"attention_bias\": false,\n"))
    #expect(text.contains("\"rms_norm_eps\": 1e-05,") && text.contains("0.041666666666666664"))

    let packed = try ModelConfig(document: JSONValue(parsing: text.utf8), path: "p/config.json")
    #expect(packed.quantization == quantization && packed.hiddenSize == 576)
    let exported = try JSONValue(parsing: packed.configJSON(withoutQuantizationAs: "float16").utf8)
    #expect(exported == (try document(["torch_dtype": "\"float16\""])))
  }

  /// transformers had `torch_dtype` for it, and has `dtype` now.
  @Test func theElementTypeKeepsTheNameItHas() throws {
    let names: [(before: String?, after: String)] = [
      ("dtype", "dtype"), ("torch_dtype", "torch_dtype"), (nil, "torch_dtype"),
    ]
    let both = try config(["dtype": "\"bfloat16\""]).configJSON(withoutQuantizationAs: "float16")
    #expect(
      try JSONValue(parsing: both.utf8) == document(["dtype": "\"float16\"", "torch_dtype": "\"float16\""]))
    for (before, after) in names {
      var changes: [String: String?] = ["torch_dtype": nil]
      if let before { changes[before] = "\"bfloat16\"" }
      let exported = try JSONValue(parsing: config(changes).configJSON(withoutQuantizationAs: "float16").utf8)
      changes[after] = "\"float16\""
      #expect(try exported == document(changes), "\(after)")
    }
  }
}
