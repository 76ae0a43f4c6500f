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
      CblasRowMajor, CblasRight, CblasLower, transpose == .no ? CblasNoTrans : CblasTrans, CblasNonUnit, blasint(m),
      blasint(n), 1, l, blasint(lda), x, blasint(ldb))
  }

  /// The lower triangle of C [n, n] ← alpha · A · Aᵀ + beta · C, A [n, k]. What is above the diagonal is left alone.
  package static func ssyrkLower(
    n: Int, k: Int, alpha: Float, _ a: UnsafePointer<Float>, lda: Int, beta: Float,
    _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    if n == 0 { return }
    singleThreaded
    cblas_ssyrk(
      CblasRowMajor, CblasLower, CblasNoTrans, blasint(n), blasint(k), alpha, a, blasint(lda), beta, c, blasint(ldc))
  }
}
