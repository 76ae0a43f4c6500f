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
  package func factorise() -> Bool {
    factorise { i, j, start in
      a[i * n + j] - BLAS.sdot(j - start, a + i * n + start, a + j * n + start)
    }
  }

  /// The same with an elimination of one's own in the blocks on the diagonal.
  ///
  /// - Parameter entry: what is left of A at a row and a column of the block that begins at `start`, once the block's columns
  ///   before it are eliminated: L's square on the diagonal, its product with the diagonal below it.
  /// - Returns: whether every entry on the diagonal was positive.
  package func factorise(entry: (_ row: Int, _ column: Int, _ start: Int) -> Float) -> Bool {
    for start in stride(from: 0, to: n, by: Self.panelColumns) {
      let block = start..<min(n, start + Self.panelColumns)
      guard eliminate(block, entry) else { return false }
      eliminateBelow(block)
      updateTrailing(block)
    }
    return true
  }

  /// A block on the diagonal, row by row.
  private func eliminate(_ block: Range<Int>, _ entry: (Int, Int, Int) -> Float) -> Bool {
    let start = block.lowerBound
    for i in block {
      for j in start..<i { a[i * n + j] = entry(i, j, start) / a[j * n + j] }
      let square = entry(i, i, start)
      guard square > 0, square.isFinite else { return false }
      a[i * n + i] = square.squareRoot()
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
        BLAS.ssyrk(
          .lower, .no, n: height, k: block.count, alpha: -1, lower, lda: n, beta: 1, a + top * n + left, ldc: n)
      }
    }
  }
}
