import COpenBLAS

/// The few BLAS routines in use, row-major, on raw pointers; nothing here allocates or starts threads.
///
/// OpenBLAS runs single-threaded: parallel work is split by ``ThreadTeam`` in fixed pieces, so that results do not
/// depend on the number of threads.
public enum BLAS {
  /// Whether an operand is used as stored or transposed.
  public enum Transpose: Sendable {
    case no
    case yes

    var cblas: CBLAS_TRANSPOSE { self == .no ? CblasNoTrans : CblasTrans }
  }

  /// Makes OpenBLAS single-threaded. Runs once; every entry point below calls it.
  static let singleThreaded: Void = openblas_set_num_threads(1)

  /// The processor kernels OpenBLAS chose when it started, for logs and reports ("SkylakeX", "Zen", …).
  public static var coreName: String {
    String(cString: openblas_get_corename())
  }

  /// C [m, n] ← alpha · op(A) [m, k] · op(B) [k, n] + beta · C. `lda`, `ldb`, `ldc` are row strides of the stored arrays.
  @inline(never)
  public static func sgemm(
    _ transposeA: Transpose, _ transposeB: Transpose, m: Int, n: Int, k: Int,
    alpha: Float = 1, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    beta: Float = 0, _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    if m == 0 || n == 0 { return }
    singleThreaded
    cblas_sgemm(
      CblasRowMajor, transposeA.cblas, transposeB.cblas, blas(m), blas(n), blas(k),
      alpha, a, blas(lda), b, blas(ldb), beta, c, blas(ldc))
  }

  /// A half of a symmetric matrix, the diagonal included.
  public enum Triangle: Sendable {
    case upper
    case lower

    fileprivate var cblas: CBLAS_UPLO { self == .upper ? CblasUpper : CblasLower }
  }

  /// A triangle of C [n, n] ← alpha · op(A) · op(A)ᵀ + beta · C, where op(A) is [n, k]. The other one is left alone.
  /// With `.yes`, A is stored [k, n]: the Gram matrix of k rows of n channels.
  public static func ssyrk(
    _ triangle: Triangle, _ transpose: Transpose, n: Int, k: Int, alpha: Float = 1, _ a: UnsafePointer<Float>, lda: Int,
    beta: Float, _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    if n == 0 { return }
    singleThreaded
    cblas_ssyrk(
      CblasRowMajor, triangle.cblas, transpose.cblas, blas(n), blas(k), alpha, a, blas(lda), beta, c, blas(ldc))
  }

  /// The inner product of two vectors of `count` values.
  public static func sdot(_ count: Int, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>) -> Float {
    singleThreaded
    return cblas_sdot(blas(count), x, 1, y, 1)
  }

  /// y ← alpha · x + y, over `count` values.
  public static func saxpy(
    _ count: Int, _ alpha: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
  ) {
    singleThreaded
    cblas_saxpy(blas(count), alpha, x, 1, y, 1)
  }

  /// OpenBLAS counts in 32 bits; every dimension here comes from a validated tensor shape below 2³¹.
  @inline(__always)
  static func blas(_ value: Int) -> blasint { blasint(value) }
}
