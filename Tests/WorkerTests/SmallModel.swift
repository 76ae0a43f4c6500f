import CRVQ
import Checkpoint
import Foundation
import Numerics
import TestSupport
import Transformer
import Worker

/// A small random model of width 32, with biases on queries, keys and values, and its blocks packed by fits.
struct SmallModel {
  let model: LanguageModel
  let source: MemorySource
  let packed: [PackedBlock]

  init(_ random: inout RandomStream, blocks: Int) throws {
    let model = try LanguageModel(config: Self.config(blocks: blocks))
    var source = MemorySource([:])
    for tensor in model.tensors {
      let values = (0..<tensor.shape.reduce(1, *)).map { _ in
        tensor.shape.count == 1 ? 1 + 0.1 * random.normal() : 0.1 * random.normal()
      }
      source.tensors[tensor.name] = (tensor.shape, values)
    }
    packed = try (0..<blocks).map { try Self.pack(model.loadBlock($0, from: source), model) }
    self.model = model
    self.source = source
  }

  private static func pack(_ original: DecoderBlock, _ model: LanguageModel) throws -> PackedBlock {
    let options = FitOptions(codebookBits: [4, 3], criticalRatio: 0.25, maximumRounds: 2)
    var linears: [LinearRole: PackedLinear] = [:]
    var block = original
    for spec in model.linears {
      var gram = Matrix(rows: spec.inFeatures, columns: spec.inFeatures)
      for index in 0..<spec.inFeatures { gram[index, index] = 1 }
      let fit = try CRVQ.fit(
        weight: original[spec.role].weight, gram: gram, options: options, streamKey: spec.name,
        team: ThreadTeam(threads: 2))
      linears[spec.role] = fit.packed
      block[spec.role] = Linear(weight: fit.packed.decode(), bias: original[spec.role].bias)
    }
    return PackedBlock(linears: linears, block: block)
  }

  private static func config(blocks: Int) throws -> ModelConfig {
    let json = """
      {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48,
       "num_hidden_layers": \(blocks), "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 16,
       "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 64, "hidden_act": "silu",
       "tie_word_embeddings": true}
      """
    return try ModelConfig(text: Array(json.utf8), path: "config.json", known: Architectures.names)
  }
}
