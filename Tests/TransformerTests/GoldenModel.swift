import Checkpoint
import Foundation
import Numerics
import Transformer

/// A tiny checkpoint under Golden/ and what transformers computes from it; see Golden/make_golden.py.
struct GoldenModel {
  static let names = [
    "gqa-tied", "linear-rope", "llama3-rope", "long", "mha-untied", "mistral", "mqa-biases", "qwen2",
  ]

  let model: LanguageModel
  let checkpoint: Checkpoint
  let tokens: [[Int32]]
  /// [sequences × length, vocabulary].
  let logits: Matrix

  static func directory(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/\(name)").path
  }

  init(_ name: String) throws {
    let directory = Self.directory(name)
    model = try LanguageModel(config: ModelConfig(directory: directory, known: Architectures.names))
    checkpoint = try Checkpoint(directory: directory)
    let golden = try SafetensorsFile(path: directory + "/golden.safetensors")
    let ids = try golden.integers("input_ids").map(Int32.init)
    let shape = golden.shape(of: "input_ids") ?? []
    tokens = (0..<shape[0]).map { Array(ids[$0 * shape[1]..<($0 + 1) * shape[1]]) }
    logits = Matrix(
      rows: ids.count, columns: model.shape.vocabularySize, values: try golden.floats("logits"))
  }

  /// The residual stream after the last block.
  func output(team: ThreadTeam) throws -> HiddenStates {
    var hidden = try model.embed(tokens: tokens, from: checkpoint)
    for block in 0..<model.blockCount {
      try model.loadBlock(block, from: checkpoint).forward(&hidden, team: team)
    }
    return hidden
  }
}
