import CKernels

/// Exponentials in bulk, and the pieces of a softmax over rows that come in tiles.
///
/// exp is within 1.2e-7 relative error; below -87.3 it is 0, above 88 it is exp(88). NaN stays NaN.
public enum Softmax {
  /// The largest of `count` ≥ 1 values.
  public static func maximum(_ values: UnsafePointer<Float>, count: Int) -> Float {
    crvq_maximum(values, count)
  }

  /// values ← exp(values − shift).
  ///
  /// - Returns: The sum of the results.
  public static func exponentialShifted(_ values: UnsafeMutablePointer<Float>, count: Int, shift: Float) -> Float {
    crvq_exp_shifted(values, count, shift)
  }

  /// The sum of exp(values − shift); the values stay as they are.
  public static func sumOfExponentials(_ values: UnsafePointer<Float>, count: Int, shift: Float) -> Float {
    crvq_sum_exp_shifted(values, count, shift)
  }

  /// The gradient of a row's softmax: upstream ← probabilities · (upstream − shift), where the shift is
  /// Σ probabilities · upstream over the whole row, of which this may be a part.
  public static func backward(
    probabilities: UnsafePointer<Float>, upstream: UnsafeMutablePointer<Float>, count: Int, shift: Float
  ) {
    crvq_softmax_backward(probabilities, upstream, count, shift)
  }

  /// values ← factor · values.
  public static func scale(_ values: UnsafeMutablePointer<Float>, count: Int, by factor: Float) {
    crvq_scale(values, count, factor)
  }
}
