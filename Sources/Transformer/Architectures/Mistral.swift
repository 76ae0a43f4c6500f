import Checkpoint

/// MistralForCausalLM: Llama without biases, of 8 key-value heads where nothing is said. Version 0.1 limits attention
/// to a sliding window; up to the window's length that is plain causal attention, and longer sequences are refused.
enum Mistral: Architecture {
  static let name = "MistralForCausalLM"
  static let modelTypes = ["mistral"]

  static func shape(_ config: ModelConfig) throws -> DecoderShape {
    var shape = DecoderShape(config)
    shape.keyValueHeadCount = try config.keyValueHeads(usual: 8)
    shape.lengthMax = try SlidingWindow.length(config)
    return shape
  }
}
