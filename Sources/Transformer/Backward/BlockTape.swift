import Numerics

/// What a forward pass of a block leaves behind for the backward pass: the activations of a micro-batch.
///
/// In floats a position: 5 · hiddenSize + 2 · queryWidth + 2 · keyValueWidth + 2 · intermediateSize + headCount + 2, the
/// block's input and output included. The backward pass uses the tape up.
public final class BlockTape {
  /// The input of the block.
  public let input: HiddenStates
  /// The output of the block.
  public internal(set) var output: HiddenStates

  /// RMSNorm of the input, [rows, hiddenSize], and the factors of its rows.
  let attentionInput: FloatBuffer
  let inputFactors: FloatBuffer
  /// Rotated queries and keys, values, and what attention made of them.
  let queries: FloatBuffer
  let keys: FloatBuffer
  let values: FloatBuffer
  let attended: FloatBuffer
  /// [sequences, headCount, length].
  let logSumExp: FloatBuffer
  /// The residual stream between attention and MLP, [rows, hiddenSize].
  let middle: FloatBuffer
  /// RMSNorm of it, and the factors of its rows.
  let mlpInput: FloatBuffer
  let middleFactors: FloatBuffer
  /// Before the activation, [rows, intermediateSize]; the backward pass puts their gradients there.
  let gate: FloatBuffer
  let up: FloatBuffer
  var isUsed = false

  /// Memory for the activations of `input`, not set to anything yet.
  init(_ shape: DecoderShape, input: HiddenStates) {
    let rows = input.rows
    self.input = input
    output = input
    attentionInput = FloatBuffer(count: rows * shape.hiddenSize)
    inputFactors = FloatBuffer(count: rows)
    queries = FloatBuffer(count: rows * shape.queryWidth)
    keys = FloatBuffer(count: rows * shape.keyValueWidth)
    values = FloatBuffer(count: rows * shape.keyValueWidth)
    attended = FloatBuffer(count: rows * shape.queryWidth)
    logSumExp = FloatBuffer(count: rows * shape.headCount)
    middle = FloatBuffer(count: rows * shape.hiddenSize)
    mlpInput = FloatBuffer(count: rows * shape.hiddenSize)
    middleFactors = FloatBuffer(count: rows)
    gate = FloatBuffer(count: rows * shape.intermediateSize)
    up = FloatBuffer(count: rows * shape.intermediateSize)
  }
}
