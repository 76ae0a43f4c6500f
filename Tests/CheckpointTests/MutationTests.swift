import Checkpoint
import Foundation
import Numerics
import TestSupport
import Testing

/// Valid files with random damage: each must either be read or be refused with a ``CheckpointError``, never crash.
/// `CRVQ_SEED` repeats a run; `CRVQ_FUZZ=1000000` tries a tenth of that of each kind of file, as `scripts/test --full` does.
@Suite struct MutationTests {
  private let caseCount = max(4_000, TestRun.damagedInputs(usually: 0) / 10)
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory(inMemory: true) }

  /// Runs `read` on damaged forms of a file and expects that some were refused.
  private func mutate(
    _ name: String, _ original: [UInt8], _ read: (String) throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var refused = 0
    for number in 0..<caseCount {
      var random = RandomStream(seed: TestRun.seed, key: "\(name) \(number)")
      let path = try directory.write(name, damaged(original, &random))
      do {
        try read(path)
      } catch is CheckpointError {
        refused += 1
      } catch {
        Issue.record("\(TestRun.seedSetting), case \(number): \(error)", sourceLocation: sourceLocation)
      }
      // A new file, not the mapped one written over.
      try FileManager.default.removeItem(atPath: path)
    }
    print("\(name): \(TestRun.seedSetting), \(refused) of \(caseCount) damaged files refused")
    #expect(
      refused > caseCount / 2, "\(TestRun.seedSetting): \(refused) of \(caseCount)", sourceLocation: sourceLocation)
  }

  @Test func safetensorsFiles() throws {
    let golden = try [UInt8](Data(contentsOf: URL(fileURLWithPath: goldenDirectory + "/golden.safetensors")))
    try mutate("t.safetensors", golden) { path in
      let file = try SafetensorsFile(path: path)
      var byteCount = 0
      for name in file.tensorNames {
        let info = try file.info(name)
        byteCount += try file.withBytes(name) { $0.reduce(0) { sum, _ in sum + 1 } }
        let count = try info.elementType.isFloatingPoint ? file.floats(name).count : file.integers(name).count
        #expect(info.shape.reduce(1, *) == count)
      }
      // Every byte behind the header belongs to one tensor.
      let length: Int = try directory.bytes("t.safetensors").prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(8 + length + byteCount == file.byteCount, "\(TestRun.seedSetting)")
    }
  }

  @Test func tokenFiles() throws {
    let path = directory.file("tokens")
    let writer = try SafetensorsWriter(
      path: path, tensors: [TensorDeclaration(name: "input_ids", elementType: .int32, shape: [4, 8])])
    try writer.append((0..<32).map { Int32($0) }, to: "input_ids")
    try writer.finish()
    try mutate("t.safetensors", directory.bytes("tokens")) { path in
      let tokens = try TokenFile(path: path, vocabularySize: 32)
      for index in 0..<tokens.sequenceCount {
        #expect(tokens.sequence(index).count == tokens.length)
        #expect(tokens.sequence(index).allSatisfy { (0..<32).contains($0) })
      }
    }
  }

  @Test func indices() throws {
    let plan = try ShardPlan(
      tensors: (0..<4).map { TensorDeclaration(name: "t\($0)", elementType: .uint8, shape: [3]) }, shardByteCountMax: 3)
    let writer = try ShardedWriter(directory: directory.path, plan: plan)
    for index in 0..<4 { try writer.append([UInt8](repeating: 1, count: 3), to: "t\(index)") }
    try writer.finish()
    try mutate("model.safetensors.index.json", Array(plan.indexJSON.utf8)) { _ in
      let model = try Checkpoint(directory: directory.path)
      for name in model.tensorNames { _ = try model.withBytes(name) { $0.count } }
    }
  }

  @Test func configurations() throws {
    let text = """
      {"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,\
      "num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":99,"rms_norm_eps":1e-05,\
      "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,\
      "original_max_position_embeddings":8192},"eos_token_id":[1,2],"tie_word_embeddings":true}
      """
    try mutate("config.json", Array(text.utf8)) { _ in
      let config = try ModelConfig(directory: directory.path)
      #expect(config.headCount % config.keyValueHeadCount == 0 && config.headSize % 2 == 0)
      let passedOn = try JSONValue(parsing: config.configJSON(adding: .null).utf8)
      var expected = config.document.object ?? [:]
      expected["quantization_config"] = JSONValue.null
      #expect(passedOn == JSONValue.object(expected), "\(TestRun.seedSetting)")
    }
  }

  @Test func manifests() throws {
    let tensors = (0..<3).map { TensorDeclaration(name: "t\($0)", elementType: .float16, shape: [2, 3]) }
    let parts = try tensors.map { try ModelPart(name: $0.name, tensors: [$0]) }
    let manifest = ModelManifest(config: "{}", entries: parts.map { .init(part: $0, digest: "0") })
    try mutate("manifest", Array(manifest.text.utf8)) { path in
      let text = try Data(contentsOf: URL(fileURLWithPath: path))
      let read = try text.withUnsafeBytes { try ModelManifest(parsing: $0, path: path) }
      for entry in read.entries {
        #expect(entry.part.tensors.values.allSatisfy { $0.byteRange.upperBound <= entry.part.byteCount })
      }
    }
  }
}
