import Numerics

/// The Cholesky factor of the damped H, by which codes are chosen group by group while the error made so far is pushed onto
/// the groups to come (GPTQ, arXiv 2210.17323; LDLQ, arXiv 2307.13304; here for vectors).
///
/// With H = L Lᵀ, L lower triangular, e H eᵀ = ‖e L‖², and (e L)_g = Σ_{j≥g} e_j L_jg depends on the groups from g on. So
/// going from the last group to the first, each group adds ‖(e L)_g‖², whose minimum over its own codeword is known once
/// those behind it are fixed; what groups still to come can compensate does not count. Critical groups stand first in the
/// packed order and come last here: they have the finest codes to take up the error of all others.
struct FeedbackFactor {
  /// L, [columns, columns], zeros above the diagonal.
  let l: Buffer<Float>
  /// L_ggᵀ, [groups, d, d]: turns (e L)_g into a query.
  let transposedBlocks: Buffer<Float>
  /// L_gg L_ggᵀ, [groups, d, d]: the metric of group g.
  let metric: Buffer<Float>

  /// Factorises H + damping · mean(diag H); damping grows tenfold until that is positive definite.
  init(_ state: FitState, damping: Double) {
    let (n, d) = (state.columns, state.d)
    let factor = Buffer<Float>(n * n)
    l = factor
    // The state's H has a mean diagonal of 1.
    var added = Float(damping)
    while true {
      for row in 0..<n {
        (factor.base + row * n).update(from: state.h.base + row * n, count: row + 1)
        (factor.base + row * n + row + 1).update(repeating: 0, count: n - row - 1)
        factor.base[row * n + row] += added
      }
      // Ends: once the addition outweighs the largest row sum of H the matrix is diagonally dominant.
      if BLAS.spotrfLower(n: n, factor.base) == nil { break }
      added *= 10
    }
    transposedBlocks = Buffer(state.groups * d * d)
    metric = Buffer(state.groups * d * d)
    for g in 0..<state.groups {
      let block = factor.base + g * d * n + g * d
      for t in 0..<d {
        for c in 0..<d {
          transposedBlocks.base[(g * d + t) * d + c] = block[c * n + t]
          var sum: Float = 0
          for i in 0..<d { sum += block[t * n + i] * block[c * n + i] }
          metric.base[(g * d + t) * d + c] = sum
        }
      }
    }
  }
}

extension FitState {
  /// Chooses all codes afresh with error feedback.
  func feedBack(_ factor: FeedbackFactor) {
    refreshNorms(metric: factor.metric)
    forEachPiece { _, range, scratch in
      let n = columns
      let m = range.count
      let (e, y) = (scratch.e.base, scratch.r.base)
      let l = factor.l.base
      let piece = w.base + range.lowerBound * n
      invertScales(range, into: scratch.inverseScales.base)
      let encoder = GroupEncoder(state: self, scratch: scratch, range: range, metric: factor.metric)
      for start in stride(from: (n - 1) / Self.blockColumns * Self.blockColumns, through: 0, by: -Self.blockColumns) {
        let width = min(Self.blockColumns, n - start)
        let end = start + width
        // Y = E_behind · L_behind,block + W_block · L_block,block; then each choice q takes q · L_g off.
        BLAS.sgemm(
          .no, .no, m: m, n: width, k: width, piece + start, lda: n, l + start * n + start, ldb: n, y, ldc: width)
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
