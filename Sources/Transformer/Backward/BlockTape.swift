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
  let attentionInput: Buffer<Float>
  let inputFactors: Buffer<Float>
  /// Rotated queries and keys, values, and what attention made of them.
  let queries: Buffer<Float>
  let keys: Buffer<Float>
  let values: Buffer<Float>
  let attended: Buffer<Float>
  /// [sequences, headCount, length].
  let logSumExp: Buffer<Float>
  /// The residual stream between attention and MLP, [rows, hiddenSize].
  let middle: Buffer<Float>
  /// RMSNorm of it, and the factors of its rows.
  let mlpInput: Buffer<Float>
  let middleFactors: Buffer<Float>
  /// Before the activation, [rows, intermediateSize]; the backward pass puts their gradients there.
  let gate: Buffer<Float>
  let up: Buffer<Float>
  var isUsed = false

  /// Memory for the activations of `input`, not set to anything yet.
  init(_ shape: DecoderShape, input: HiddenStates) {
    let rows = input.rows
    self.input = input
    output = input
    attentionInput = Buffer(rows * shape.hiddenSize)
    inputFactors = Buffer(rows)
    queries = Buffer(rows * shape.queryWidth)
    keys = Buffer(rows * shape.keyValueWidth)
    values = Buffer(rows * shape.keyValueWidth)
    attended = Buffer(rows * shape.queryWidth)
    logSumExp = Buffer(rows * shape.headCount)
    middle = Buffer(rows * shape.hiddenSize)
    mlpInput = Buffer(rows * shape.hiddenSize)
    middleFactors = Buffer(rows)
    gate = Buffer(rows * shape.intermediateSize)
    up = Buffer(rows * shape.intermediateSize)
  }
}
