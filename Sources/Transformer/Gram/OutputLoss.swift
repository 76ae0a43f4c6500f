import Numerics

/// Σ (y - ŷ)ᵀ x over some tokens: what a block's output lacks (`rows` channels), by the activations x of a site (`columns`
/// channels) that could make up for it. Not divided by the number of tokens, so that those of several shards can be added.
public struct OutputLoss: Sendable, Equatable {
  public let rows: Int
  public let columns: Int
  public private(set) var tokenCount: Int
  /// [rows, columns], row-major.
  public private(set) var values: [Float]

  /// Wraps a sum, from a file say.
  ///
  /// - Throws: ``TransformerError`` if the sizes contradict each other or a value is not finite.
  public init(rows: Int, columns: Int, tokenCount: Int, values: [Float]) throws {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows > 0, columns > 0, tokenCount > 0, !overflow, values.count == count else {
      throw TransformerError(
        .invalidInput,
        "output loss: \(values.count) values and \(tokenCount) tokens do not make one of \(rows)×\(columns)")
    }
    if let index = Finite.firstNonFinite(values) {
      throw TransformerError(.invalidInput, "output loss of \(rows)×\(columns): value \(index) is \(values[index])")
    }
    self.rows = rows
    self.columns = columns
    self.tokenCount = tokenCount
    self.values = values
  }

  /// Adds another shard's sum. Add them in shard order: floating-point sums depend on it.
  ///
  /// - Throws: ``TransformerError`` if its sizes are others.
  public mutating func add(_ other: OutputLoss) throws {
    guard other.rows == rows, other.columns == columns else {
      throw TransformerError(
        .invalidInput, "output loss: expected one of \(rows)×\(columns), got \(other.rows)×\(other.columns)")
    }
    tokenCount += other.tokenCount
    for index in values.indices { values[index] += other.values[index] }
  }

  /// The mean over tokens, [rows, columns].
  public var mean: Matrix {
    let factor = 1 / Float(tokenCount)
    return Matrix(rows: rows, columns: columns, values: values.map { $0 * factor })
  }
}
