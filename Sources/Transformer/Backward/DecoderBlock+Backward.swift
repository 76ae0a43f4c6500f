import Numerics

extension DecoderBlock {
  /// The gradients of a loss, given that of the block's output, over the micro-batch on a tape.
  ///
  /// The same bytes whatever the number of threads. Gradients flow through the weights as they are now, which must be those
  /// the tape was recorded with.
  ///
  /// - Parameters:
  ///   - tape: from ``record(_:team:)``; it is used up.
  ///   - outputGradient: ∂loss/∂output, [sequences, length, hiddenSize].
  ///   - sink: receives the gradients of the parameters.
  /// - Returns: ∂loss/∂input.
  /// - Throws: ``TransformerError`` if the sizes differ from the tape's or the tape was used before.
  @discardableResult
  public func backward(
    _ tape: BlockTape, outputGradient: HiddenStates, team: ThreadTeam, into sink: any BlockGradientSink
  ) throws -> HiddenStates {
    guard
      outputGradient.sequences == tape.input.sequences, outputGradient.length == tape.input.length,
      outputGradient.width == shape.hiddenSize
    else {
      throw TransformerError(.invalidInput, "block \(index): the gradient's sizes are not those of the recorded output")
    }
    guard !tape.isUsed else {
      throw TransformerError(.invalidInput, "block \(index): this recording was used by an earlier backward pass")
    }
    tape.isUsed = true
    // Becomes the gradient of the stream between attention and MLP, then that of the input.
    var gradient = outputGradient
    outputGradient.values.withUnsafeBufferPointer { upstream in
      gradient.values.withUnsafeMutableBufferPointer { stream in
        guard let upstream = upstream.baseAddress, let stream = stream.baseAddress else { return }
        BackwardPass(block: self, tape: tape, upstream: upstream, stream: stream, team: team, sink: sink).run()
      }
    }
    return gradient
  }
}

/// One backward pass of a block.
private struct BackwardPass {
  let block: DecoderBlock
  let tape: BlockTape
  /// ∂loss/∂output, [rows, hiddenSize].
  let upstream: UnsafePointer<Float>
  /// A copy of it, to which the gradients through both branches are added.
  let stream: UnsafeMutablePointer<Float>
  let team: ThreadTeam
  let sink: any BlockGradientSink

  private var shape: DecoderShape { block.shape }
  private var rows: Int { tape.input.rows }
  private var pieces: RowPieces { RowPieces(sequences: tape.input.sequences, length: tape.input.length) }

  func run() {
    let mlpNorm = feedForward()
    let attended = Buffer<Float>(rows * shape.queryWidth)
    team.forEach(pieces.count) { index in
      let (row, _, count) = pieces[index]
      block[.output].backward(
        stream + row * shape.hiddenSize, rows: count, into: attended.base + row * shape.queryWidth)
    }
    report(.output, upstream: stream, input: tape.attended.base)
    let inputNorm = attention(attended)
    sink.add(inputNormGradient: inputNorm, mlpNormGradient: mlpNorm)
  }

  /// - Returns: The gradient of the MLP's norm.
  private func feedForward() -> [Float] {
    let (width, inner) = (shape.hiddenSize, shape.intermediateSize)
    let hidden = Buffer<Float>(rows * inner)
    let norms = Buffer<Float>(pieces.count * width)
    // A pointer does not keep its buffer.
    defer { withExtendedLifetime((hidden, norms)) {} }
    let pool = Pool(count: RowPieces.positionsMax * width)
    team.forEach(pieces.count) { index in
      let (row, _, count) = pieces[index]
      let gate = tape.gate.base + row * inner
      let up = tape.up.base + row * inner
      let piece = hidden.base + row * inner
      block[.down].backward(upstream + row * width, rows: count, into: piece)
      SwiGLU.backward(gate: gate, up: up, upstream: piece, count: count * inner)
      pool.withBuffer { normed in
        block[.gate].backward(gate, rows: count, into: normed)
        block[.up].backward(up, rows: count, into: normed, accumulate: true)
        let norm = norms.base + index * width
        norm.update(repeating: 0, count: width)
        RootMeanSquareNorm.backward(
          tape.middle.base + row * width, weight: block.mlpNorm, inverseRMS: tape.middleFactors.base + row,
          upstream: normed, rows: count, width: width, addingTo: stream + row * width, weightGradient: norm)
      }
    }
    report(.down, upstream: upstream, input: hidden.base)
    report(.gate, upstream: tape.gate.base, input: tape.mlpInput.base)
    report(.up, upstream: tape.up.base, input: tape.mlpInput.base)
    return sumOfRows(norms.base, count: pieces.count, width: width)
  }

  /// - Parameter attended: ∂loss/∂ attended values, [rows, queryWidth].
  /// - Returns: The gradient of the norm in front of attention.
  private func attention(_ attended: Buffer<Float>) -> [Float] {
    let queries = Buffer<Float>(rows * shape.queryWidth)
    let keys = Buffer<Float>(rows * shape.keyValueWidth)
    let values = Buffer<Float>(rows * shape.keyValueWidth)
    CausalAttention(shape).backward(
      AttentionGradients(
        queries: tape.queries.base, keys: tape.keys.base, values: tape.values.base, attended: tape.attended.base,
        logSumExp: tape.logSumExp.base, upstream: attended.base, queryGradient: queries.base,
        keyGradient: keys.base, valueGradient: values.base),
      sequences: tape.input.sequences, length: tape.input.length, team: team)

    let width = shape.hiddenSize
    let rotations = block.rotaryCache.table(length: tape.input.length).inverse
    let norms = Buffer<Float>(pieces.count * width)
    defer { withExtendedLifetime((queries, keys, values, norms)) {} }
    let pool = Pool(count: RowPieces.positionsMax * width)
    tape.input.values.withUnsafeBufferPointer { input in
      guard let input = input.baseAddress else { return }
      team.forEach(pieces.count) { index in
        let (row, position, count) = pieces[index]
        let query = queries.base + row * shape.queryWidth
        let key = keys.base + row * shape.keyValueWidth
        rotations.rotate(query, heads: shape.headCount, position: position, count: count)
        rotations.rotate(key, heads: shape.keyValueHeadCount, position: position, count: count)
        pool.withBuffer { normed in
          block[.query].backward(query, rows: count, into: normed)
          block[.key].backward(key, rows: count, into: normed, accumulate: true)
          block[.value].backward(
            values.base + row * shape.keyValueWidth, rows: count, into: normed, accumulate: true)
          let norm = norms.base + index * width
          norm.update(repeating: 0, count: width)
          RootMeanSquareNorm.backward(
            input + row * width, weight: block.inputNorm, inverseRMS: tape.inputFactors.base + row, upstream: normed,
            rows: count, width: width, addingTo: stream + row * width, weightGradient: norm)
        }
      }
    }
    report(.query, upstream: queries.base, input: tape.attentionInput.base)
    report(.key, upstream: keys.base, input: tape.attentionInput.base)
    report(.value, upstream: values.base, input: tape.attentionInput.base)
    return sumOfRows(norms.base, count: pieces.count, width: width)
  }

  /// Computes the gradients of one linear and hands them over.
  private func report(_ role: LinearRole, upstream: UnsafePointer<Float>, input: UnsafePointer<Float>) {
    let spec = shape.linear(role)
    if sink.linears.contains(role) {
      let gradient = Buffer<Float>(spec.weightCount)
      defer { withExtendedLifetime(gradient) {} }
      WeightGradient(upstream: upstream, input: input, outFeatures: spec.outFeatures, inFeatures: spec.inFeatures)
        .compute(
          sequences: tape.input.sequences, length: tape.input.length, team: team, into: gradient.base)
      sink.add(weightGradient: gradient.base, of: spec, team: team)
    }
    if spec.hasBias {
      sink.add(biasGradient: sumOfRows(upstream, count: rows, width: spec.outFeatures), of: spec)
    }
  }

  /// The sum of `count` rows of `width` values, in order.
  private func sumOfRows(_ values: UnsafePointer<Float>, count: Int, width: Int) -> [Float] {
    var sum = [Float](repeating: 0, count: width)
    for row in 0..<count { BLAS.saxpy(width, 1, values + row * width, &sum) }
    return sum
  }
}
