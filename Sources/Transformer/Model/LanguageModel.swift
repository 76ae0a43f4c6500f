import Checkpoint
import Numerics

/// A decoder-only language model: which tensors it is made of and how to load its parts one at a time.
///
/// Holds no weights. Values are read from a ``TensorSource``: the original checkpoint or a packed model that decodes.
public struct LanguageModel: Sendable {
  /// The class name in config.json: "LlamaForCausalLM".
  public let architecture: String
  public let shape: DecoderShape

  private let rotaryCache: RotaryCache

  /// Understands a configuration.
  ///
  /// - Throws: ``TransformerError`` naming the architectures known, the model type expected, or the option that cannot
  ///   be run; ``CheckpointError`` for one that is not what it should be.
  public init(config: ModelConfig) throws {
    let architecture = try Architectures.named(by: config)
    self.architecture = architecture.name
    shape = try architecture.shape(config)
    rotaryCache = RotaryCache(shape.rotary, headDimension: shape.headDimension)
  }

  public var blockCount: Int { shape.blockCount }

  /// The linears of a block: ``DecoderShape/linears``.
  public var linears: [LinearSpec] { shape.linears }

  /// The tensors of a block other than the linears' weights: norms and biases. They are not quantized; a tune or a distillation may
  /// change them.
  public func otherTensors(ofBlock block: Int) -> [TensorSpec] {
    let norms = [inputNormTensor(ofBlock: block), mlpNormTensor(ofBlock: block)]
    let biases = linears.compactMap { spec in
      spec.biasName(block: block).map { TensorSpec(name: $0, shape: [spec.outFeatures]) }
    }
    return norms + biases
  }

  /// The weight of the norm in front of a block's attention, [hidden].
  public func inputNormTensor(ofBlock block: Int) -> TensorSpec {
    TensorSpec(name: TensorSpec.inputNorm(block), shape: [shape.hiddenSize])
  }

  /// The weight of the norm in front of a block's MLP, [hidden].
  public func mlpNormTensor(ofBlock block: Int) -> TensorSpec {
    TensorSpec(name: TensorSpec.mlpNorm(block), shape: [shape.hiddenSize])
  }

  /// The embedding matrix, [vocabulary, hidden].
  var embeddingTensor: TensorSpec {
    TensorSpec(name: TensorSpec.embedding, shape: [shape.vocabularySize, shape.hiddenSize])
  }

  /// The weight of the norm in front of the head, [hidden].
  var finalNormTensor: TensorSpec { TensorSpec(name: TensorSpec.finalNorm, shape: [shape.hiddenSize]) }

  /// The head's matrix, [vocabulary, hidden]; the embedding matrix itself if they are tied.
  var headTensor: TensorSpec {
    shape.isHeadTied
      ? embeddingTensor : TensorSpec(name: TensorSpec.head, shape: [shape.vocabularySize, shape.hiddenSize])
  }

  /// All tensors of the model, each once.
  public var tensors: [TensorSpec] {
    var all = [embeddingTensor]
    for block in 0..<blockCount {
      all += linears.map {
        TensorSpec(name: $0.tensorName(block: block), shape: [$0.outFeatures, $0.inFeatures])
      }
      all += otherTensors(ofBlock: block)
    }
    all.append(finalNormTensor)
    if !shape.isHeadTied { all.append(headTensor) }
    return all
  }

  /// Checks that a source has every tensor of the model in the shape the configuration asks for. Reads no data.
  ///
  /// - Throws: ``CheckpointError`` naming the first tensor that is missing or of another shape.
  public func validate(_ source: some TensorSource) throws {
    for tensor in tensors { try tensor.check(in: source) }
  }

  /// The tensors of a source that the model does not read, such as buffers of frequencies. A second copy of a tied head is none:
  /// ``validateTie(in:)`` reads it.
  public func unread(in source: some TensorSource) -> [String] {
    let read = Set(tensors.map(\.name)).union([TensorSpec.head])
    return source.tensorNames.filter { !read.contains($0) }
  }

  /// The values that ``validateTie(in:)`` has in memory at a time, of each of the two matrices.
  private static let comparedValueCount = 1 << 20

  /// Checks of a model whose head is its embedding matrix that no other head is stored: older versions of transformers
  /// pass over it, newer ones take it. Reads both where there are two.
  ///
  /// - Throws: ``CheckpointError`` naming the head and the first row that is another.
  public func validateTie(in source: some TensorSource) throws {
    guard shape.isHeadTied, source.shape(of: TensorSpec.head) != nil else { return }
    let stored = TensorSpec(name: TensorSpec.head, shape: embeddingTensor.shape)
    try stored.check(in: source)
    let rowsAtATime = max(1, Self.comparedValueCount / shape.hiddenSize)
    for first in stride(from: 0, to: shape.vocabularySize, by: rowsAtATime) {
      let rows = first..<min(shape.vocabularySize, first + rowsAtATime)
      let head = try source.floats(stored.name, rows: rows)
      let embeddings = try source.floats(embeddingTensor.name, rows: rows)
      guard let index = head.indices.first(where: { head[$0] != embeddings[$0] }) else { continue }
      throw CheckpointError(
        .mismatch, path: source.path(of: stored.name),
        "tensor \(stored.name): expected the values of \(embeddingTensor.name), as tie_word_embeddings in config.json "
          + "says, got others in row \(first + index / shape.hiddenSize); set it to false, or remove the tensor")
    }
  }
}

// MARK: - Loading

extension LanguageModel {
  /// Loads one block's tensors, widened to single precision.
  ///
  /// - Parameter weights: of linears that need not be loaded, of the shapes the model has.
  /// - Throws: ``CheckpointError`` naming a tensor that is missing, of another shape or not finite;
  ///   ``TransformerError`` if there is no such block.
  public func loadBlock(
    _ index: Int, from source: some TensorSource, weights: [LinearRole: Matrix] = [:]
  ) throws -> DecoderBlock {
    guard (0..<blockCount).contains(index) else {
      throw TransformerError(.invalidInput, "expected a block from 0 to \(blockCount - 1), got \(index)")
    }
    var linears: [LinearRole: Linear] = [:]
    for spec in self.linears {
      linears[spec.role] = try loadLinear(spec, block: index, from: source, weight: weights[spec.role])
    }
    return DecoderBlock(
      index: index, shape: shape,
      inputNorm: try inputNormTensor(ofBlock: index).load(from: source),
      mlpNorm: try mlpNormTensor(ofBlock: index).load(from: source),
      linears: linears, rotaryCache: rotaryCache)
  }

  /// Loads one linear of a block.
  ///
  /// - Parameter weight: if it need not be loaded, [outFeatures, inFeatures].
  /// - Throws: ``CheckpointError`` as ``loadBlock(_:from:weights:)``.
  private func loadLinear(
    _ spec: LinearSpec, block: Int, from source: some TensorSource, weight known: Matrix?
  ) throws -> Linear {
    let weight =
      try known
      ?? source.matrix(spec.tensorName(block: block), rows: spec.outFeatures, columns: spec.inFeatures)
    let bias = spec.biasName(block: block).map { TensorSpec(name: $0, shape: [spec.outFeatures]) }
    return Linear(weight: weight, bias: try bias?.load(from: source))
  }

  /// Loads the final norm and the head.
  ///
  /// - Throws: ``CheckpointError`` as ``loadBlock(_:from:weights:)``.
  public func loadHead(from source: some TensorSource) throws -> LanguageModelHead {
    LanguageModelHead(
      norm: try finalNormTensor.load(from: source), normEpsilon: shape.normEpsilon,
      weight: try source.matrix(headTensor.name, rows: shape.vocabularySize, columns: shape.hiddenSize))
  }
}
