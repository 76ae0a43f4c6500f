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

  /// The gradient of ``forward(_:weight:epsilon:rows:width:into:inverseRMS:)``.
  ///
  /// - Parameters:
  ///   - x: [rows, width], the input of the forward pass.
  ///   - inverseRMS: [rows], as the forward pass left them.
  ///   - upstream: [rows, width], the gradient of y.
  ///   - gradient: [rows, width], to which the gradient of x is added. Not `upstream`.
  ///   - weightGradient: [width], to which the gradient of the weight is added.
  public static func backward(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, inverseRMS: UnsafePointer<Float>,
    upstream: UnsafePointer<Float>, rows: Int, width: Int, addingTo gradient: UnsafeMutablePointer<Float>,
    weightGradient: UnsafeMutablePointer<Float>
  ) {
    crvq_rmsnorm_backward(x, weight, inverseRMS, upstream, rows, width, gradient, weightGradient)
  }
}
