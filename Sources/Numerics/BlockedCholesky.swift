/// Cholesky's factorisation by blocks of columns, over a team of threads: A = L Lᵀ, L in place of A's lower triangle. What is above
/// the diagonal is left alone.
///
/// Every tile is the result of one call, so bytes do not depend on the number of threads.
package struct BlockedCholesky {
  /// Columns that are eliminated together.
  package static let panelColumns = 128
  /// Rows or columns of a tile.
  private static let tile = 256

  private let n: Int
  private let a: UnsafeMutablePointer<Float>
  private let team: ThreadTeam

  /// - Parameter a: [n, n], symmetric, row-major; alive for as long as this is used.
  package init(_ a: UnsafeMutablePointer<Float>, n: Int, team: ThreadTeam) {
    self.a = a
    self.n = n
    self.team = team
  }

  /// - Returns: whether A is positive definite.
  package func factorise() -> Bool { factorise(corner: factoriseCorner) }

  /// The same with a factorisation of one's own for the blocks on the diagonal.
  ///
  /// - Parameter corner: puts its factor in place of the block of these rows and columns; false ends the work.
  /// - Returns: whether every `corner` was true.
  package func factorise(corner: (Range<Int>) -> Bool) -> Bool {
    for start in stride(from: 0, to: n, by: Self.panelColumns) {
      let block = start..<min(n, start + Self.panelColumns)
      guard corner(block) else { return false }
      eliminateBelow(block)
      updateTrailing(block)
    }
    return true
  }

  /// Row by row.
  private func factoriseCorner(_ block: Range<Int>) -> Bool {
    let start = block.lowerBound
    for i in block {
      let row = a + i * n
      for j in start...i {
        let other = a + j * n
        let sum = row[j] - BLAS.sdot(j - start, row + start, other + start)
        if i != j {
          row[j] = sum / other[j]
        } else {
          guard sum > 0, sum.isFinite else { return false }
          row[j] = sum.squareRoot()
        }
      }
    }
    return true
  }

  /// The block's columns below it.
  private func eliminateBelow(_ block: Range<Int>) {
    let (start, end) = (block.lowerBound, block.upperBound)
    nonisolated(unsafe) let a = a
    team.forEachRange(n - end, grain: 128) { range in
      BLAS.solveLower(
        .yes, m: range.count, n: block.count, a + start * n + start, lda: n, a + (end + range.lowerBound) * n + start,
        ldb: n)
    }
  }

  /// What is below and right of the block less the block's part of the product, lower triangle.
  private func updateTrailing(_ block: Range<Int>) {
    let first = block.upperBound
    let tiles = (n - first + Self.tile - 1) / Self.tile
    nonisolated(unsafe) let a = a
    team.forEach(tiles * (tiles + 1) / 2) { index in
      var (i, j) = (0, index)
      while j > i {
        j -= i + 1
        i += 1
      }
      let (top, left) = (first + i * Self.tile, first + j * Self.tile)
      let (height, width) = (min(Self.tile, n - top), min(Self.tile, n - left))
      let (upper, lower) = (a + left * n + block.lowerBound, a + top * n + block.lowerBound)
      if i != j {
        BLAS.sgemm(
          .no, .yes, m: height, n: width, k: block.count, alpha: -1, lower, lda: n, upper, ldb: n, beta: 1,
          a + top * n + left, ldc: n)
      } else {
        BLAS.ssyrkLower(n: height, k: block.count, alpha: -1, lower, lda: n, beta: 1, a + top * n + left, ldc: n)
      }
    }
  }
}
