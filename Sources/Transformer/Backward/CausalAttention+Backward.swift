import Numerics

/// What the backward pass of attention reads and writes. All are [sequences, length, heads, headDimension] with the number of
/// query heads or of key-value heads, but for `logSumExp`, [sequences, headCount, length].
package struct AttentionGradients {
  package var queries: UnsafePointer<Float>
  package var keys: UnsafePointer<Float>
  package var values: UnsafePointer<Float>
  /// The result of the forward pass, and ln Σ exp of its scores.
  package var attended: UnsafePointer<Float>
  package var logSumExp: UnsafePointer<Float>
  /// The gradient of `attended`.
  package var upstream: UnsafePointer<Float>
  /// Receive the gradients.
  package var queryGradient: UnsafeMutablePointer<Float>
  package var keyGradient: UnsafeMutablePointer<Float>
  package var valueGradient: UnsafeMutablePointer<Float>

  package init(
    queries: UnsafePointer<Float>, keys: UnsafePointer<Float>, values: UnsafePointer<Float>,
    attended: UnsafePointer<Float>, logSumExp: UnsafePointer<Float>, upstream: UnsafePointer<Float>,
    queryGradient: UnsafeMutablePointer<Float>, keyGradient: UnsafeMutablePointer<Float>,
    valueGradient: UnsafeMutablePointer<Float>
  ) {
    self.queries = queries
    self.keys = keys
    self.values = values
    self.attended = attended
    self.logSumExp = logSumExp
    self.upstream = upstream
    self.queryGradient = queryGradient
    self.keyGradient = keyGradient
    self.valueGradient = valueGradient
  }

  /// The same tensors from the first query head of a group of one sequence on.
  func advanced(queryOffset: Int, keyValueOffset: Int, rowOffset: Int) -> AttentionGradients {
    AttentionGradients(
      queries: queries + queryOffset, keys: keys + keyValueOffset, values: values + keyValueOffset,
      attended: attended + queryOffset, logSumExp: logSumExp + rowOffset, upstream: upstream + queryOffset,
      queryGradient: queryGradient + queryOffset, keyGradient: keyGradient + keyValueOffset,
      valueGradient: valueGradient + keyValueOffset)
  }
}

extension CausalAttention {
  /// Keys a tile of the backward pass, which holds two tiles of scores at a time.
  package static let backwardKeyTile = 256

  /// The gradients of queries, keys and values, tile by tile: probabilities are computed again from ln Σ exp.
  ///
  /// One piece of parallel work is a group of heads of one sequence, because all its queries add to the same keys.
  package func backward(_ tensors: AttentionGradients, sequences: Int, length: Int, team: ThreadTeam) {
    let pool = Pool(count: backwardScratchCount)
    team.forEach(sequences * keyValueHeadCount) { index in
      let (sequence, group) = (index / keyValueHeadCount, index % keyValueHeadCount)
      let start = tensors.advanced(
        queryOffset: sequence * length * queryWidth + group * groupSize * headDimension,
        keyValueOffset: sequence * length * keyValueWidth + group * headDimension,
        rowOffset: (sequence * headCount + group * groupSize) * length)
      for position in 0..<length {
        (start.keyGradient + position * keyValueWidth).update(repeating: 0, count: headDimension)
        (start.valueGradient + position * keyValueWidth).update(repeating: 0, count: headDimension)
      }
      pool.withBuffer { scratch in
        for first in stride(from: 0, to: length, by: queryTile) {
          backward(first..<min(length, first + queryTile), start, length: length, scratch: scratch)
        }
      }
    }
  }

  private var backwardScratchCount: Int { stackedRowsMax * (3 * headDimension + 2 * Self.backwardKeyTile + 2) }

  /// What is in memory of one tile of queries of the heads of one group, stacked.
  private struct QueryTile {
    /// [rows, headDimension].
    let queries, upstream, gradient: UnsafeMutablePointer<Float>
    /// [rows, keys of a tile].
    let probabilities, changes: UnsafeMutablePointer<Float>
    /// [rows].
    let logSumExp, shifts: UnsafeMutablePointer<Float>

    init(_ attention: CausalAttention, in scratch: UnsafeMutablePointer<Float>) {
      let rows = attention.stackedRowsMax
      queries = scratch
      upstream = queries + rows * attention.headDimension
      gradient = upstream + rows * attention.headDimension
      probabilities = gradient + rows * attention.headDimension
      changes = probabilities + rows * CausalAttention.backwardKeyTile
      logSumExp = changes + rows * CausalAttention.backwardKeyTile
      shifts = logSumExp + rows
    }
  }

  /// One tile of queries of the heads of one group: its own gradient, and what it adds to those of keys and values.
  private func backward(
    _ rows: Range<Int>, _ tensors: AttentionGradients, length: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let tile = QueryTile(self, in: scratch)
    forEachStackedRow(rows) { row, position, offset in
      (tile.queries + row * headDimension).update(from: tensors.queries + offset, count: headDimension)
      (tile.upstream + row * headDimension).update(from: tensors.upstream + offset, count: headDimension)
      tile.logSumExp[row] = tensors.logSumExp[row / rows.count * length + position]
      // Σ probability · its gradient over all keys is the inner product of the result and its gradient.
      tile.shifts[row] = BLAS.sdot(headDimension, tensors.attended + offset, tensors.upstream + offset)
    }
    for firstKey in stride(from: 0, to: rows.upperBound, by: Self.backwardKeyTile) {
      backward(tile, of: rows, keys: firstKey..<min(rows.upperBound, firstKey + Self.backwardKeyTile), tensors)
    }
    forEachStackedRow(rows) { row, _, offset in
      (tensors.queryGradient + offset).update(from: tile.gradient + row * headDimension, count: headDimension)
    }
  }

  /// What one tile of keys adds to the gradient of a tile of queries, and the other way round.
  private func backward(_ tile: QueryTile, of rows: Range<Int>, keys: Range<Int>, _ tensors: AttentionGradients) {
    let (stacked, count) = (rows.count * groupSize, keys.count)
    let offset = keys.lowerBound * keyValueWidth
    BLAS.sgemm(
      .no, .yes, m: stacked, n: count, k: headDimension, alpha: scale, tile.queries, lda: headDimension,
      tensors.keys + offset, ldb: keyValueWidth, tile.probabilities, ldc: count)
    BLAS.sgemm(
      .no, .yes, m: stacked, n: count, k: headDimension, tile.upstream, lda: headDimension,
      tensors.values + offset, ldb: keyValueWidth, tile.changes, ldc: count)
    for row in 0..<stacked {
      let visible = min(count, rows.lowerBound + row % rows.count + 1 - keys.lowerBound)
      let (probability, change) = (tile.probabilities + row * count, tile.changes + row * count)
      _ = Softmax.exponentialShifted(probability, count: visible, shift: tile.logSumExp[row])
      Softmax.backward(probabilities: probability, upstream: change, count: visible, shift: tile.shifts[row])
      (probability + visible).update(repeating: 0, count: count - visible)
      (change + visible).update(repeating: 0, count: count - visible)
    }
    BLAS.sgemm(
      .yes, .no, m: count, n: headDimension, k: stacked, tile.probabilities, lda: count, tile.upstream,
      ldb: headDimension, beta: 1, tensors.valueGradient + offset, ldc: keyValueWidth)
    BLAS.sgemm(
      .yes, .no, m: count, n: headDimension, k: stacked, alpha: scale, tile.changes, lda: count, tile.queries,
      ldb: headDimension, beta: 1, tensors.keyGradient + offset, ldc: keyValueWidth)
    BLAS.sgemm(
      .no, .no, m: stacked, n: headDimension, k: count, alpha: scale, tile.changes, lda: count, tensors.keys + offset,
      ldb: keyValueWidth, beta: keys.lowerBound > 0 ? 1 : 0, tile.gradient, ldc: headDimension)
  }
}
