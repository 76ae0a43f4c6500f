import CKernels

/// The rotation of rotary position embeddings, in the half-rotation layout: value i of a head pairs with i + half.
public enum Rotation {
  /// Rotates `heads` heads at the start of each row in place.
  ///
  /// - Parameters:
  ///   - x: `rows` rows, `stride` values apart; a head is 2 · `half` values.
  ///   - cosine: [rows, half].
  ///   - sine: [rows, half]; negated sines rotate back, which is the gradient of the rotation.
  public static func apply(
    _ x: UnsafeMutablePointer<Float>, rows: Int, stride: Int, heads: Int, half: Int,
    cosine: UnsafePointer<Float>, sine: UnsafePointer<Float>
  ) {
    crvq_rotary(x, rows, stride, heads, half, cosine, sine)
  }
}
