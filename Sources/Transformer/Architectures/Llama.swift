import Checkpoint

/// LlamaForCausalLM: Llama 1 to 3.2, SmolLM, TinyLlama and others.
enum Llama: Architecture {
  static let name = "LlamaForCausalLM"
  static let modelTypes = ["llama"]

  static func shape(_ config: ModelConfig) -> DecoderShape {
    var shape = DecoderShape(config)
    if config.attentionBias { shape.biased.formUnion([.query, .key, .value, .output]) }
    if config.mlpBias { shape.biased.formUnion([.gate, .up, .down]) }
    return shape
  }
}

extension DecoderShape {
  /// What configurations of the Llama family have in common. No biases, attention over the whole sequence.
  init(_ config: ModelConfig) {
    self.init(
      blockCount: config.blockCount, hiddenSize: config.hiddenSize, intermediateSize: config.intermediateSize,
      headCount: config.headCount, keyValueHeadCount: config.keyValueHeadCount, headDimension: config.headSize,
      vocabularySize: config.vocabularySize, normEpsilon: Float(config.normEpsilon), rotary: config.rotary,
      isHeadTied: config.tiesEmbeddings, lengthMax: nil)
  }
}
