import COpenBLAS

/// The parts of a blocked Cholesky factorisation.
extension BLAS {
  /// X [m, n] ← X · L⁻¹, or X · L⁻ᵀ with `.yes`, L [n, n] lower triangular.
  package static func solveLower(
    _ transpose: Transpose, m: Int, n: Int, _ l: UnsafePointer<Float>, lda: Int, _ x: UnsafeMutablePointer<Float>,
    ldb: Int
  ) {
    if m == 0 || n == 0 { return }
    singleThreaded
    cblas_strsm(
      CblasRowMajor, CblasRight, CblasLower, transpose.cblas, CblasNonUnit, blas(m), blas(n), 1, l, blas(lda), x,
      blas(ldb))
  }
}
