import CKernels

/// Root mean square layer normalisation (Zhang and Sennrich, arXiv 1910.07467).
public enum RootMeanSquareNorm {
  /// y[r, c] ← x[r, c] / sqrt(mean over c of x[r, c]² + epsilon) · weight[c].
  ///
  /// - Parameters:
  ///   - x: [rows, width].
  ///   - y: [rows, width]; may be `x`.
  ///   - inverseRMS: [rows], receives the factor of each row if given.
  public static func forward(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, rows: Int, width: Int,
    into y: UnsafeMutablePointer<Float>, inverseRMS: UnsafeMutablePointer<Float>? = nil
  ) {
    crvq_rmsnorm(x, weight, epsilon, rows, width, y, inverseRMS)
  }
}
