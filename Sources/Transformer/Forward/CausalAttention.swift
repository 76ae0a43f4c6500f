import Foundation
import Numerics

/// Causal grouped-query attention in tiles, so that its working memory does not grow with the length of a sequence.
///
/// As FlashAttention (Dao et al., arXiv 2205.14135): a tile of queries goes through the keys tile by tile with a running
/// maximum and a running sum. The query heads that share a key-value head are stacked in one matrix product.
package struct CausalAttention {
  package let headCount: Int
  package let keyValueHeadCount: Int
  package let headDimension: Int

  package init(headCount: Int, keyValueHeadCount: Int, headDimension: Int) {
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headDimension = headDimension
  }

  /// Keys a tile; a multiple of every query tile, so that no row of a tile is masked whole.
  package static let keyTile = 512
  /// Query rows a tile over all heads of a group, as far as powers of two allow.
  private static let stackedRowsWanted = 256

  var groupSize: Int { headCount / keyValueHeadCount }
  var queryWidth: Int { headCount * headDimension }
  var keyValueWidth: Int { keyValueHeadCount * headDimension }
  var scale: Float { 1 / Float(headDimension).squareRoot() }

  /// Queries a tile: a power of two from 16 to 256, fewer the more heads are stacked.
  package var queryTile: Int {
    var tile = Self.stackedRowsWanted
    while tile > 16 && tile * groupSize > Self.stackedRowsWanted { tile /= 2 }
    return tile
  }

  /// Replaces queries by attended values.
  ///
  /// - Parameters:
  ///   - queries: [sequences, length, headCount, headDimension], rotated; on return softmax(q kᵀ / sqrt(d)) v in their place.
  ///   - keys: [sequences, length, keyValueHeadCount, headDimension], rotated.
  ///   - values: as keys.
  ///   - logSumExp: [sequences, headCount, length], receives ln Σ exp of each row's scores if given (the backward pass
  ///     recomputes probabilities from it).
  package func forward(
    queries: UnsafeMutablePointer<Float>, keys: UnsafePointer<Float>, values: UnsafePointer<Float>,
    sequences: Int, length: Int, team: ThreadTeam, logSumExp: UnsafeMutablePointer<Float>? = nil
  ) {
    let queryTile = queryTile
    let tiles = (length + queryTile - 1) / queryTile
    let pool = Pool(count: scratchCount)
    // Late tiles see more keys: giving them out first evens out the threads' finish.
    team.forEach(sequences * keyValueHeadCount * tiles) { index in
      let tile = tiles - 1 - index / (sequences * keyValueHeadCount)
      let sequence = index % (sequences * keyValueHeadCount) / keyValueHeadCount
      let group = index % keyValueHeadCount
      let rows = tile * queryTile..<min(length, (tile + 1) * queryTile)
      pool.withBuffer { scratch in
        attend(
          rows, queries: queries + sequence * length * queryWidth + group * groupSize * headDimension,
          keys: keys + sequence * length * keyValueWidth + group * headDimension,
          values: values + sequence * length * keyValueWidth + group * headDimension,
          logSumExp: logSumExp.map { $0 + (sequence * headCount + group * groupSize) * length }, length: length,
          scratch: scratch)
      }
    }
  }

  var stackedRowsMax: Int { queryTile * groupSize }
  private var scratchCount: Int { stackedRowsMax * (2 * headDimension + Self.keyTile + 2) }

  /// One tile of queries of the heads of one group. Pointers are at the group's first head of the sequence.
  private func attend(
    _ rows: Range<Int>, queries: UnsafeMutablePointer<Float>, keys: UnsafePointer<Float>,
    values: UnsafePointer<Float>, logSumExp: UnsafeMutablePointer<Float>?, length: Int,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let stacked = rows.count * groupSize
    let stackedQueries = scratch
    let sums = stackedQueries + stackedRowsMax * headDimension
    let scores = sums + stackedRowsMax * headDimension
    let maxima = scores + stackedRowsMax * Self.keyTile
    let totals = maxima + stackedRowsMax

    forEachStackedRow(rows) { row, _, offset in
      (stackedQueries + row * headDimension).update(from: queries + offset, count: headDimension)
    }
    maxima.update(repeating: -.infinity, count: stacked)
    totals.update(repeating: 0, count: stacked)

    for firstKey in stride(from: 0, to: rows.upperBound, by: Self.keyTile) {
      let keyCount = min(Self.keyTile, rows.upperBound - firstKey)
      BLAS.sgemm(
        .no, .yes, m: stacked, n: keyCount, k: headDimension, alpha: scale, stackedQueries, lda: headDimension,
        keys + firstKey * keyValueWidth, ldb: keyValueWidth, scores, ldc: keyCount)
      for row in 0..<stacked {
        let visible = min(keyCount, rows.lowerBound + row % rows.count + 1 - firstKey)
        let correction = Self.exponentiate(
          scores + row * keyCount, visible: visible, of: keyCount, maximum: maxima + row, total: totals + row)
        if firstKey > 0 { Softmax.scale(sums + row * headDimension, count: headDimension, by: correction) }
      }
      BLAS.sgemm(
        .no, .no, m: stacked, n: headDimension, k: keyCount, scores, lda: keyCount,
        values + firstKey * keyValueWidth, ldb: keyValueWidth, beta: firstKey > 0 ? 1 : 0, sums, ldc: headDimension)
    }

    forEachStackedRow(rows) { row, position, offset in
      let attended = sums + row * headDimension
      Softmax.scale(attended, count: headDimension, by: 1 / totals[row])
      (queries + offset).update(from: attended, count: headDimension)
      if let logSumExp {
        logSumExp[row / rows.count * length + position] = maxima[row] + log(totals[row])
      }
    }
  }

  /// Visits the rows of a tile, head by head: its index in the stack, its position, its offset from the group's first head.
  func forEachStackedRow(_ rows: Range<Int>, _ body: (Int, Int, Int) -> Void) {
    var row = 0
    for head in 0..<groupSize {
      for position in rows {
        body(row, position, position * queryWidth + head * headDimension)
        row += 1
      }
    }
  }

  /// Turns a row of scores into exponentials relative to the running maximum, zero where masked.
  ///
  /// - Returns: The factor by which what was summed under the old maximum must be multiplied.
  private static func exponentiate(
    _ scores: UnsafeMutablePointer<Float>, visible: Int, of count: Int,
    maximum: UnsafeMutablePointer<Float>, total: UnsafeMutablePointer<Float>
  ) -> Float {
    let old = maximum.pointee
    let new = max(old, Softmax.maximum(scores, count: visible))
    let sum = Softmax.exponentialShifted(scores, count: visible, shift: new)
    if visible < count { (scores + visible).update(repeating: 0, count: count - visible) }
    let correction = old == new ? 1 : exp(old - new)
    maximum.pointee = new
    total.pointee = total.pointee * correction + sum
    return correction
  }
}
