import Checkpoint

/// Qwen2ForCausalLM (Qwen 1.5 to 2.5): Llama with biases on query, key and value that its configuration does not mention.
enum Qwen2: Architecture {
  static let name = "Qwen2ForCausalLM"

  static func shape(_ config: ModelConfig) -> DecoderShape {
    var shape = DecoderShape(config)
    shape.biased = [.query, .key, .value]
    if config.document["use_sliding_window"]?.bool == true {
      shape.lengthMax = SlidingWindow.length(config)
    }
    return shape
  }
}
