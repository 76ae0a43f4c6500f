import Numerics

extension DecoderBlock {
  /// Runs forward as ``forward(_:team:observer:)`` does, to the same bytes, and keeps what the backward pass needs.
  ///
  /// - Parameter input: a micro-batch; the memory is that of ``BlockTape``.
  /// - Throws: ``TransformerError`` as ``forward(_:team:observer:)``.
  public func record(_ input: HiddenStates, team: ThreadTeam) throws -> BlockTape {
    try check(input)
    let tape = BlockTape(shape, input: input)
    let pieces = RowPieces(sequences: input.sequences, length: input.length)
    recordProjections(tape, pieces, team)
    let attended = tape.attended.base
    attended.update(from: tape.queries.base, count: tape.attended.count)
    CausalAttention(shape).forward(
      queries: attended, keys: tape.keys.base, values: tape.values.base, sequences: input.sequences,
      length: input.length, team: team, logSumExp: tape.logSumExp.base)
    recordFeedForward(tape, pieces, team)
    return tape
  }

  private func recordProjections(_ tape: BlockTape, _ pieces: RowPieces, _ team: ThreadTeam) {
    let rotations = rotaryCache.table(length: tape.input.length)
    let width = shape.hiddenSize
    tape.input.values.withUnsafeBufferPointer { stream in
      guard let stream = stream.baseAddress else { return }
      team.forEach(pieces.count) { index in
        let (row, position, count) = pieces[index]
        let normed = tape.attentionInput.base + row * width
        let query = tape.queries.base + row * shape.queryWidth
        let key = tape.keys.base + row * shape.keyValueWidth
        RootMeanSquareNorm.forward(
          stream + row * width, weight: inputNorm, epsilon: shape.normEpsilon, rows: count, width: width, into: normed,
          inverseRMS: tape.inputFactors.base + row)
        self[.query].apply(normed, rows: count, into: query)
        self[.key].apply(normed, rows: count, into: key)
        self[.value].apply(normed, rows: count, into: tape.values.base + row * shape.keyValueWidth)
        rotations.rotate(query, heads: shape.headCount, position: position, count: count)
        rotations.rotate(key, heads: shape.keyValueHeadCount, position: position, count: count)
      }
    }
  }

  private func recordFeedForward(_ tape: BlockTape, _ pieces: RowPieces, _ team: ThreadTeam) {
    let width = shape.hiddenSize
    let inner = shape.intermediateSize
    let pool = Pool(count: RowPieces.positionsMax * inner)
    // The output starts as a copy of the input: first attention is added to it, then the MLP.
    tape.output.values.withUnsafeMutableBufferPointer { output in
      guard let output = output.baseAddress else { return }
      team.forEach(pieces.count) { index in
        let (row, _, count) = pieces[index]
        let stream = output + row * width
        let normed = tape.mlpInput.base + row * width
        let gate = tape.gate.base + row * inner
        let up = tape.up.base + row * inner
        self[.output].apply(tape.attended.base + row * shape.queryWidth, rows: count, into: stream, accumulate: true)
        (tape.middle.base + row * width).update(from: stream, count: count * width)
        RootMeanSquareNorm.forward(
          stream, weight: mlpNorm, epsilon: shape.normEpsilon, rows: count, width: width, into: normed,
          inverseRMS: tape.middleFactors.base + row)
        self[.gate].apply(normed, rows: count, into: gate)
        self[.up].apply(normed, rows: count, into: up)
        pool.withBuffer { hidden in
          hidden.update(from: gate, count: count * inner)
          SwiGLU.forward(gate: hidden, up: up, count: count * inner)
          self[.down].apply(hidden, rows: count, into: stream, accumulate: true)
        }
      }
    }
  }
}
