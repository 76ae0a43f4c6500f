import Checkpoint

/// Qwen2ForCausalLM (Qwen 1.5 to 2.5): Llama with biases on query, key and value that its configuration does not mention.
enum Qwen2: Architecture {
  static let name = "Qwen2ForCausalLM"

  static func shape(_ config: ModelConfig) throws -> DecoderShape {
    var shape = DecoderShape(config)
    shape.biased = [.query, .key, .value]
    if try config.usesSlidingWindow() { shape.lengthMax = try SlidingWindow.length(config) }
    return shape
  }
}
