import Numerics

/// XᵀX over some tokens, not divided by their number, so that those of several shards can be added.
public struct PartialGram: Sendable, Equatable {
  /// The number of channels n.
  public let width: Int
  /// The number of tokens (rows of X) summed.
  public let tokenCount: Int
  /// The upper triangle row by row, n (n + 1) / 2 values: [0,0] [0,1] … [0,n-1] [1,1] … The matrix is symmetric.
  public let upper: [Float]

  /// The largest width accepted.
  public static let widthMax = 1 << 20

  /// The number of values of an upper triangle.
  public static func valueCount(width: Int) -> Int { width * (width + 1) / 2 }

  /// Wraps a triangle, from a file say.
  ///
  /// - Throws: ``TransformerError`` if the sizes contradict each other or a value is not finite.
  public init(width: Int, tokenCount: Int, upper: [Float]) throws {
    guard width > 0, width <= Self.widthMax, tokenCount > 0, upper.count == Self.valueCount(width: width) else {
      throw TransformerError(
        .invalidInput,
        "partial Gram matrix: \(upper.count) values and \(tokenCount) tokens do not make one of width \(width)")
    }
    if let index = Finite.firstNonFinite(upper) {
      throw TransformerError(
        .invalidInput,
        "partial Gram matrix of width \(width): value \(index) is \(upper[index]); activations are beyond single precision, "
          + "by the model's weights or norms")
    }
    self.width = width
    self.tokenCount = tokenCount
    self.upper = upper
  }
}
