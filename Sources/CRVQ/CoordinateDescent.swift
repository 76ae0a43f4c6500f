import Numerics

extension FitState {
  /// Columns whose residual product is kept up to date inside a block.
  static let blockColumns = 128

  /// One pass of coordinate descent over the codes: every group in turn takes the codewords that are best with all other
  /// groups held fixed. Never raises a row's error.
  ///
  /// One matrix product gives R = (W-Ŵ)·H for a block's columns; changes inside the block update R in place, by the group's
  /// d rows of H.
  func descend() {
    refreshNorms(metric: hBlocks)
    forEachPiece { _, range, scratch in
      let n = columns
      let (u, e, r) = (scratch.u.base, scratch.e.base, scratch.r.base)
      residual(range, u: u, e: e)
      invertScales(range, into: scratch.inverseScales.base)
      let encoder = GroupEncoder(state: self, scratch: scratch, range: range, metric: hBlocks)
      for start in stride(from: 0, to: n, by: Self.blockColumns) {
        let width = min(Self.blockColumns, n - start)
        BLAS.sgemm(.no, .no, m: range.count, n: width, k: n, e, lda: n, h.base + start, ldb: n, r, ldc: width)
        for g in start / d..<(start + width) / d {
          let column = g * d
          Codewords.queries(
            x: r + column - start, ldx: width, inverseScale: scratch.inverseScales.base, b: nil,
            u: u + column, ldu: n, a: hBlocks.base + g * d * d, n: range.count, d: d, into: scratch.queries.base)
          encoder.encode(g, fromCodes: true)
          for i in 0..<range.count {
            let scale = scales.base[range.lowerBound + i]
            for t in 0..<d {
              let chosen = scratch.chosen.base[i * d + t]
              let change = scale * (u[i * n + column + t] - chosen)
              scratch.delta.base[i * d + t] = change
              u[i * n + column + t] = chosen
              e[i * n + column + t] += change
            }
          }
          Codewords.rankUpdate(
            delta: scratch.delta.base, n: range.count, d: d, h: h.base + column * n + start, ldh: n,
            y: r, ldy: width, columns: width)
        }
      }
    }
  }

  /// 1 / s, or 0 for a row without a scale: then every code is as good as any other.
  func invertScales(_ range: Range<Int>, into inverse: UnsafeMutablePointer<Float>) {
    for row in range {
      let scale = scales.base[row]
      inverse[row - range.lowerBound] = scale == 0 ? 0 : 1 / scale
    }
  }
}
