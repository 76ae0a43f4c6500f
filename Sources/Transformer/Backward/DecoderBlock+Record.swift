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
    let attended = tape.attended.start
    attended.update(from: tape.queries.start, count: tape.attended.count)
    CausalAttention(shape).forward(
      queries: attended, keys: tape.keys.start, values: tape.values.start, sequences: input.sequences,
      length: input.length, team: team, logSumExp: tape.logSumExp.start)
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
        let normed = tape.attentionInput.start + row * width
        let query = tape.queries.start + row * shape.queryWidth
        let key = tape.keys.start + row * shape.keyValueWidth
        RootMeanSquareNorm.forward(
          stream + row * width, weight: inputNorm, epsilon: shape.normEpsilon, rows: count, width: width, into: normed,
          inverseRMS: tape.inputFactors.start + row)
        self[.query].apply(normed, rows: count, into: query)
        self[.key].apply(normed, rows: count, into: key)
        self[.value].apply(normed, rows: count, into: tape.values.start + row * shape.keyValueWidth)
        rotations.rotate(query, heads: shape.headCount, position: position, count: count)
        rotations.rotate(key, heads: shape.keyValueHeadCount, position: position, count: count)
      }
    }
  }

  private func recordFeedForward(_ tape: BlockTape, _ pieces: RowPieces, _ team: ThreadTeam) {
    let width = shape.hiddenSize
    let inner = shape.intermediateSize
    let pool = ScratchPool(count: RowPieces.positionsMax * inner)
    // The output starts as a copy of the input: first attention is added to it, then the MLP.
    tape.output.values.withUnsafeMutableBufferPointer { output in
      guard let output = output.baseAddress else { return }
      team.forEach(pieces.count) { index in
        let (row, _, count) = pieces[index]
        let stream = output + row * width
        let normed = tape.mlpInput.start + row * width
        let gate = tape.gate.start + row * inner
        let up = tape.up.start + row * inner
        self[.output].apply(tape.attended.start + row * shape.queryWidth, rows: count, into: stream, accumulate: true)
        (tape.middle.start + row * width).update(from: stream, count: count * width)
        RootMeanSquareNorm.forward(
          stream, weight: mlpNorm, epsilon: shape.normEpsilon, rows: count, width: width, into: normed,
          inverseRMS: tape.middleFactors.start + row)
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
