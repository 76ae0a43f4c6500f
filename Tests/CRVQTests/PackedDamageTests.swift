import CRVQ
import Checkpoint
import Foundation
import Numerics
import TestSupport
import Testing

/// Packed linears with random damage: each must either be refused or be read as what it says, never crash.
/// `CRVQ_SEED` repeats a run; `CRVQ_FUZZ=1000000` tries a fiftieth of that of each kind, as `scripts/test --full` does.
@Suite struct PackedDamageTests {
  private let caseCount = max(2_000, TestRun.damagedInputs(usually: 0) / 50)
  private let format = PackedFormat(groupSize: 4, codebookBits: [3, 5], criticalRatio: 0.5)

  private func random(_ what: String, _ number: Int) -> RandomStream {
    RandomStream(seed: TestRun.seed, key: "damaged \(what) \(number)")
  }

  /// Some are refused and some are not: no test is of one kind alone.
  private func expectBoth(refused: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      refused > caseCount / 3 && refused < caseCount, "\(TestRun.seedSetting): \(refused) of \(caseCount)",
      sourceLocation: sourceLocation)
  }

  /// What was read would be stored as the very bytes it was read from.
  @Test func tensors() throws {
    let original = try PackedLinearTests.random(format, rows: 5, columns: 44).encoded(prefix: "p")
    var refused = 0
    for number in 0..<caseCount {
      var random = random("tensors", number)
      let index = random.index(below: original.count)
      var shape = original[index].shape
      if random.index(below: 4) == 0 { shape[random.index(below: shape.count)] += random.index(below: 3) - 1 }
      let bytes = damaged(original[index].bytes, &random)
      var tensors = original
      tensors[index] = PackedTensor(
        name: original[index].name, type: original[index].type, shape: shape, bytes: bytes)
      let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
      do {
        let read = try PackedLinear(prefix: "p", format: format) { byName[$0] }
        #expect(read.encoded(prefix: "p") == tensors, "\(TestRun.seedSetting), case \(number)")
        #expect(read.decodeHalf().count == read.rows * read.columns)
      } catch let error as CRVQError {
        #expect(error.kind == .malformed, "\(TestRun.seedSetting), case \(number): \(error)")
        refused += 1
      }
    }
    expectBoth(refused: refused)
  }

  @Test func files() throws {
    let directory = try TemporaryDirectory(inMemory: true)
    let linear = try PackedLinearTests.random(format, rows: 5, columns: 44)
    try linear.write(prefix: "p", to: directory.file("original"))
    let original = try directory.bytes("original")
    let team = ThreadTeam(threads: 1)
    var refused = 0
    for number in 0..<caseCount {
      var random = random("files", number)
      let bytes = damaged(original, &random)
      let path = try directory.write("damaged.safetensors", bytes)
      do {
        let file = try SafetensorsFile(path: path)
        let tensors = PackedTensors(packed: file, others: MemorySource([:]), format: format, team: team)
        for prefix in tensors.packedPrefixes {
          let linear = try tensors.linear(prefix)
          #expect(tensors.shape(of: prefix + ".weight") == [linear.rows, linear.columns])
          #expect(try tensors.floats(prefix + ".weight").count == linear.rows * linear.columns)
        }
      } catch is CheckpointError {
        refused += 1
      } catch let error as CRVQError {
        #expect(error.kind == .malformed, "\(TestRun.seedSetting), case \(number): \(error)")
        refused += 1
      }
      // A new file, not the mapped one written over.
      try FileManager.default.removeItem(atPath: path)
    }
    expectBoth(refused: refused)
  }

  /// A format is what the configuration says, and one that there is.
  @Test func configurations() throws {
    let others = """
      {"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,\
      "num_attention_heads":4,"vocab_size":99,"rms_norm_eps":1e-05,"quantization_config":
      """
    let original = """
      {"quant_method":"crvq","format_version":1,"group_size":8,"codebook_bits":[8,6,4],"critical_ratio":0.0625}
      """
    var refused = 0
    for number in 0..<caseCount {
      var random = random("configurations", number)
      let bytes = damaged(Array(original.utf8), &random)
      do {
        let config = try ModelConfig(text: Array(others.utf8) + bytes + Array("}".utf8), path: "config.json")
        let format = try QuantizationConfig(config).format
        try format.validate()
        let said = config.quantization
        #expect(said?["group_size"]?.integer == format.groupSize, "\(TestRun.seedSetting), case \(number)")
        #expect(said?["critical_ratio"]?.double == format.criticalRatio, "\(TestRun.seedSetting), case \(number)")
        let bits = said?["codebook_bits"]?.array?.compactMap(\.integer)
        #expect(bits == format.codebookBits, "\(TestRun.seedSetting), case \(number)")
      } catch is CheckpointError {
        refused += 1
      } catch let error as CRVQError {
        #expect(error.kind == .malformed, "\(TestRun.seedSetting), case \(number): \(error)")
        refused += 1
      }
    }
    expectBoth(refused: refused)
  }
}
