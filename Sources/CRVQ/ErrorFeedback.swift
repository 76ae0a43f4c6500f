import Numerics

extension FitState {
  /// Chooses all codes afresh with error feedback.
  package func feedBack(_ factor: FeedbackFactor) {
    refreshNorms(metric: factor.metric)
    forEachPiece { _, range, scratch in
      let n = columns
      let m = range.count
      let (e, y) = (scratch.e.base, scratch.r.base)
      let l = h.base
      let piece = w.base + range.lowerBound * n
      invertScales(range, into: scratch.inverseScales.base)
      let encoder = GroupEncoder(state: self, scratch: scratch, range: range, metric: factor.metric)
      for start in stride(from: (n - 1) / Self.panelColumns * Self.panelColumns, through: 0, by: -Self.panelColumns) {
        let width = min(Self.panelColumns, n - start)
        let end = start + width
        // Y = E_behind · L_behind,block + W_block · L_block,block; then each choice q takes q · L_g off.
        BLAS.sgemm(
          .no, .no, m: m, n: width, k: width, piece + start, lda: n,
          factor.corners.base + start * Self.panelColumns, ldb: width, y, ldc: width)
        if end < n {
          BLAS.sgemm(
            .no, .no, m: m, n: width, k: n - end, e + end, lda: n, l + end * n + start, ldb: n,
            beta: 1, y, ldc: width)
        }
        for g in stride(from: end / d - 1, through: start / d, by: -1) {
          let column = g * d
          Codewords.queries(
            x: y + column - start, ldx: width, inverseScale: scratch.inverseScales.base,
            b: factor.transposedBlocks.base + g * d * d, u: nil, ldu: 0, a: nil, n: m, d: d,
            into: scratch.queries.base)
          encoder.encode(g, fromCodes: false)
          for i in 0..<m {
            let scale = scales.base[range.lowerBound + i]
            for t in 0..<d {
              let q = scale * scratch.chosen.base[i * d + t]
              scratch.delta.base[i * d + t] = -q
              e[i * n + column + t] = piece[i * n + column + t] - q
            }
          }
          Codewords.rankUpdate(
            delta: scratch.delta.base, n: m, d: d, h: l + column * n + start, ldh: n, y: y, ldy: width,
            columns: column - start)
        }
      }
    }
  }
}
