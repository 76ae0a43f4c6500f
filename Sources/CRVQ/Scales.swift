import Numerics

/// Scales for fixed codes and codebooks: a quotient a row.
extension FitState {
  /// The best scale of every row, s_o = ⟨W_o H, U_o⟩ / ⟨U_o H, U_o⟩, and every row's error with it.
  ///
  /// - Parameter gradient: receives Sᵀ(diag(s) (W-Ŵ) H), half the negative gradient for the codebooks, laid out as they are;
  ///   nil if it is not wanted.
  package func rescale(gradient: PartialSums?) {
    let n = columns
    gradient?.clear()
    forEachPieceByBand { band, range, scratch in
      let (u, e, r) = (scratch.u.base, scratch.e.base, scratch.r.base)
      residual(range, u: u, e: e)
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, e, lda: n, h.base, ldb: n, r, ldc: n)
      for row in range {
        let at = (row - range.lowerBound) * n
        let old = scales.base[row]
        let new = rescaleRow(row, u: u + at, e: e + at, r: r + at)
        if let gradient {
          // R follows the scale: (W - s'U)H = R - (s'-s)·UH with UH = (WH - R)/s.
          if new != old, old != 0 {
            let share = (new - old) / old
            let wh = wh.base + row * n
            for c in 0..<n { r[at + c] -= share * (wh[c] - r[at + c]) }
          }
          scatter(row: row, r + at, factor: new, into: gradient.part(band))
        }
      }
    }
    gradient?.add()
  }

  private func rescaleRow(
    _ row: Int, u: UnsafePointer<Float>, e: UnsafePointer<Float>, r: UnsafePointer<Float>
  ) -> Float {
    let n = columns
    let error = Double(BLAS.sdot(n, e, r))
    let scale = Double(scales.base[row])
    rowErrors.base[row] = error
    if scale == 0 { return 0 }
    let slope = Double(BLAS.sdot(n, u, r))
    // w = e + s·u, so wHw = eHe + 2s·uHe + s²·uHu.
    let curvature = (energies.base[row] - error - 2 * scale * slope) / (scale * scale)
    guard curvature > 0 else { return Float(scale) }
    let best = scale + slope / curvature
    guard best.isFinite, best != 0 else { return Float(scale) }
    rowErrors.base[row] = error - slope * slope / curvature
    scales.base[row] = Float(best)
    return Float(best)
  }

  /// Adds a row of S transposed: `factor` · r, codeword by codeword.
  func scatter(row: Int, _ r: UnsafePointer<Float>, factor: Float, into sums: UnsafeMutablePointer<Float>) {
    for book in books {
      Codewords.scatter(
        codes.base + book.codeOffset + row * book.groups, groups: book.groups, r, d: d, factor: factor,
        into: sums + book.offset)
    }
  }
}
