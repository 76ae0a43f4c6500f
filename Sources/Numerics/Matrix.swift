/// A dense row-major matrix of single-precision values, [rows, columns].
public struct Matrix: Sendable, Equatable {
  public let rows: Int
  public let columns: Int
  /// Row-major values; `values[r * columns + c]` is the entry at row `r`, column `c`.
  public var values: [Float]

  /// A matrix of zeros.
  public init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, values: [Float](repeating: 0, count: rows * columns))
  }

  /// Wraps `values`, row-major. The count must be `rows * columns`.
  public init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns, "a \(rows)×\(columns) matrix has \(rows * columns) values")
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// The identity, [size, size].
  public static func identity(_ size: Int) -> Matrix {
    var matrix = Matrix(rows: size, columns: size)
    for index in 0..<size { matrix[index, index] = 1 }
    return matrix
  }

  @inlinable
  public subscript(row: Int, column: Int) -> Float {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }
}
