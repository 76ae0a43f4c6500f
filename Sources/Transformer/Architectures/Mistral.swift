import Checkpoint

/// MistralForCausalLM: Llama without biases. Version 0.1 limits attention to a sliding window; up to the window's length
/// that is plain causal attention, and longer sequences are refused.
enum Mistral: Architecture {
  static let name = "MistralForCausalLM"

  static func shape(_ config: ModelConfig) throws -> DecoderShape {
    var shape = DecoderShape(config)
    shape.lengthMax = try SlidingWindow.length(config)
    return shape
  }
}
