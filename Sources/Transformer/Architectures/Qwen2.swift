import Checkpoint

/// Qwen2ForCausalLM (Qwen 1.5 to 2.5): Llama with biases on query, key and value that its configuration does not
/// mention, of 32 key-value heads where nothing is said. A sliding window may limit some of the blocks, or none.
enum Qwen2: Architecture {
  static let name = "Qwen2ForCausalLM"
  static let modelTypes = ["qwen2"]

  static func shape(_ config: ModelConfig) throws -> DecoderShape {
    var shape = DecoderShape(config)
    shape.biased = [.query, .key, .value]
    shape.keyValueHeadCount = try config.keyValueHeads(usual: 32)
    if try config.usesSlidingWindow(), let length = try SlidingWindow.length(config),
      try config.hasSlidingBlocks(usual: 28)
    {
      shape.lengthMax = length
    }
    return shape
  }
}
