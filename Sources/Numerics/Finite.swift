import CKernels

/// A check for NaN and infinities.
public enum Finite {
  /// The index of the first value that is NaN or infinite, or nil if all are finite.
  public static func firstNonFinite(_ values: [Float]) -> Int? {
    values.withUnsafeBufferPointer { firstNonFinite($0) }
  }

  /// The same of values that are not in an array.
  public static func firstNonFinite(_ values: UnsafeBufferPointer<Float>) -> Int? {
    guard let start = values.baseAddress else { return nil }
    let index = crvq_first_nonfinite(start, values.count)
    return index < values.count ? index : nil
  }
}
