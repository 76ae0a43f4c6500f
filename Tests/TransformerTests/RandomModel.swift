import Checkpoint
import Numerics
import TestSupport
import Transformer

/// A model of one block with random weights, of sizes that no golden model has.
struct RandomModel {
  let model: LanguageModel
  let block: DecoderBlock
  /// Of this model's width, from the same seed.
  let hidden: HiddenStates

  init(hiddenSize: Int, intermediateSize: Int, sequences: Int, length: Int, seed: UInt64) throws {
    let json = """
      {"architectures": ["LlamaForCausalLM"], "hidden_size": \(hiddenSize), "intermediate_size": \(intermediateSize),
       "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 8,
       "rms_norm_eps": 1e-6, "tie_word_embeddings": true}
      """
    model = try LanguageModel(
      config: ModelConfig(text: Array(json.utf8), path: "config.json", known: Architectures.names))
    var random = RandomStream(seed: seed, key: "random model")
    var source = MemorySource([:])
    for tensor in model.tensors {
      let count = tensor.shape.reduce(1, *)
      let values = (0..<count).map { _ in tensor.shape.count == 1 ? 1 + 0.1 * random.normal() : 0.1 * random.normal() }
      source.tensors[tensor.name] = (tensor.shape, values)
    }
    block = try model.loadBlock(0, from: source)
    hidden = try HiddenStates(
      sequences: sequences, length: length, width: hiddenSize,
      values: (0..<sequences * length * hiddenSize).map { _ in random.normal() })
  }
}
