import Numerics

/// y = x Wᵀ (+ bias), rows of activations at a time.
public struct Linear: Sendable, Equatable {
  /// [out, in].
  public var weight: Matrix
  /// [out], or nil.
  public var bias: [Float]?

  /// - Parameter bias: as many values as `weight` has rows.
  public init(weight: Matrix, bias: [Float]? = nil) {
    precondition(bias == nil || bias?.count == weight.rows, "a bias has one value an output")
    self.weight = weight
    self.bias = bias
  }

  /// y [rows, out] ← x [rows, in] · Wᵀ + bias, or y + that when accumulating.
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, accumulate: Bool = false
  ) {
    let out = weight.rows
    if let bias {
      bias.withUnsafeBufferPointer { bias in
        guard let bias = bias.baseAddress else { return }
        for row in 0..<rows {
          if accumulate {
            BLAS.saxpy(out, 1, bias, y + row * out)
          } else {
            (y + row * out).update(from: bias, count: out)
          }
        }
      }
    }
    weight.values.withUnsafeBufferPointer { weights in
      guard let weights = weights.baseAddress else { return }
      BLAS.sgemm(
        .no, .yes, m: rows, n: out, k: weight.columns, x, lda: weight.columns, weights, ldb: weight.columns,
        beta: accumulate || bias != nil ? 1 : 0, y, ldc: out)
    }
  }
}
