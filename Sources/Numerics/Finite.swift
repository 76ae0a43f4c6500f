import CKernels

/// A check for NaN and infinities.
public enum Finite {
  /// The index of the first value that is NaN or infinite, or nil if all are finite.
  public static func firstNonFinite(_ values: [Float]) -> Int? {
    let index = values.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { crvq_first_nonfinite($0, buffer.count) } ?? 0
    }
    return index < values.count ? index : nil
  }
}
