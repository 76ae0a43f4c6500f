import Numerics

/// The sum of the partial Gram matrices of a site's shards. Add them in shard order: floating-point sums depend on it.
public struct GramTotal: Sendable {
  public let width: Int
  public private(set) var tokenCount = 0
  private var upper: [Float]

  /// Zero, for sites of `width` channels.
  public init(width: Int) {
    self.width = width
    upper = [Float](repeating: 0, count: PartialGram.valueCount(width: width))
  }

  /// Adds one shard's sum.
  ///
  /// - Throws: ``TransformerError`` if its width is another.
  public mutating func add(_ partial: PartialGram) throws {
    guard partial.width == width else {
      throw TransformerError(.invalidInput, "Gram matrix: expected a partial of width \(width), got \(partial.width)")
    }
    tokenCount += partial.tokenCount
    partial.upper.withUnsafeBufferPointer { source in
      upper.withUnsafeMutableBufferPointer { target in
        for index in target.indices { target[index] += source[index] }
      }
    }
  }

  /// H = XᵀX / n over all tokens added, symmetric, [width, width].
  ///
  /// - Throws: ``TransformerError`` if nothing was added.
  public func normalized() throws -> Matrix {
    guard tokenCount > 0 else { throw TransformerError(.invalidInput, "Gram matrix: no tokens were added") }
    let factor = 1 / Float(tokenCount)
    var result = Matrix(rows: width, columns: width)
    result.values.withUnsafeMutableBufferPointer { values in
      upper.withUnsafeBufferPointer { upper in
        var index = 0
        for row in 0..<width {
          for column in row..<width {
            let value = upper[index] * factor
            values[row * width + column] = value
            values[column * width + row] = value
            index += 1
          }
        }
      }
    }
    return result
  }
}
