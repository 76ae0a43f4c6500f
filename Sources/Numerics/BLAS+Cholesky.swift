import COpenBLAS

extension BLAS {
  /// Cholesky factor of a symmetric positive definite matrix, in place: the lower triangle L (row-major), A = LLᵀ.
  /// Only the lower triangle is read and written.
  ///
  /// - Returns: nil on success, or the index of the first leading minor that is not positive definite.
  package static func spotrfLower(n: Int, _ a: UnsafeMutablePointer<Float>) -> Int? {
    openblas_set_num_threads(1)
    // Row-major lower is column-major upper: A = UᵀU there is A = LLᵀ here.
    var uplo = CChar(UInt8(ascii: "U"))
    var order = blasint(n)
    var info: blasint = 0
    spotrf_(&uplo, &order, a, &order, &info)
    return info == 0 ? nil : Int(info)
  }
}
