import Foundation
import Numerics

/// The weight and Gram matrix of one linear, checked: shapes that belong together, every value a number.
struct Problem {
  let weight: Matrix
  let gram: Matrix
  /// 1 over the mean of H's diagonal: the scale at which a fit works.
  let gramFactor: Float

  var rows: Int { weight.rows }
  var columns: Int { weight.columns }

  /// - Throws: ``CRVQError`` (`input`) naming what is wrong and where.
  static func check(_ weight: Matrix, _ gram: Matrix) throws {
    guard weight.rows > 0, weight.columns > 0 else {
      throw CRVQError(.input, "the weight is [\(weight.rows), \(weight.columns)]; expected at least one row and column")
    }
    guard gram.rows == weight.columns, gram.columns == weight.columns else {
      throw CRVQError(
        .input,
        "the Gram matrix is [\(gram.rows), \(gram.columns)]; "
          + "expected [\(weight.columns), \(weight.columns)] for a weight [\(weight.rows), \(weight.columns)]")
    }
    let limit = PackedFormat.maximumDimension
    guard weight.rows <= limit, weight.columns <= limit else {
      throw CRVQError(.input, "the weight is [\(weight.rows), \(weight.columns)]; at most \(limit) are supported")
    }
    try requireFinite(weight, "weight", limit: largestWeight)
    let scale = factor(meanDiagonal: meanDiagonal(gram))
    try requireFinite(gram, "Gram matrix", limit: min(.greatestFiniteMagnitude, largestGram / scale))
    try requireSymmetric(gram, scale: 1 / scale)
  }

  init(weight: Matrix, gram: Matrix) {
    self.weight = weight
    self.gram = gram
    gramFactor = Self.factor(meanDiagonal: Self.meanDiagonal(gram))
  }

  private static func meanDiagonal(_ gram: Matrix) -> Double {
    (0..<gram.rows).reduce(0.0) { $0 + Double(gram[$1, $1]) } / Double(gram.rows)
  }

  /// 1 for a mean that has no use, or is so small that single precision has no reciprocal of it.
  static func factor(meanDiagonal mean: Double) -> Float {
    let factor = Float(1 / mean)
    return mean > 0 && factor.isFinite ? factor : 1
  }

  /// In units of the mean diagonal. No entry of a mean of x xᵀ is larger than its trace, which is in times that; far above, H
  /// is none, and no damping makes it positive definite.
  private static let largestGram: Float = 1e12

  /// The decoded form is float16; half its range leaves room for a reconstruction that overshoots.
  private static let largestWeight: Float = 32752

  /// How far apart two entries that mirror each other may be, as a share of the larger or of the mean diagonal: a product adds
  /// in another order on each side, and a short type rounds what comes.
  private static let asymmetry: Float = 0.01

  private static func requireSymmetric(_ gram: Matrix, scale: Float) throws {
    // In squares, so that both sides of the diagonal come from the cache.
    let side = 64
    for top in stride(from: 0, to: gram.rows, by: side) {
      for left in stride(from: 0, through: top, by: side) {
        for i in top..<min(gram.rows, top + side) {
          for j in left..<min(i + 1, left + side) {
            let (lower, upper) = (gram[i, j], gram[j, i])
            if abs(lower - upper) <= asymmetry * max(abs(lower), abs(upper), scale) { continue }
            throw CRVQError(
              .input,
              "the Gram matrix has \(lower) at [\(i), \(j)] and \(upper) at [\(j), \(i)]; expected a symmetric matrix")
          }
        }
      }
    }
  }

  private static func requireFinite(_ matrix: Matrix, _ name: String, limit: Float) throws {
    // The comparison is false for a NaN as well.
    guard let bad = matrix.values.firstIndex(where: { !($0.magnitude <= limit) }) else { return }
    let (row, column) = (bad / matrix.columns, bad % matrix.columns)
    let value = matrix.values[bad]
    let range = limit == .greatestFiniteMagnitude ? "finite values" : "values of at most \(limit) in magnitude"
    throw CRVQError(.input, "\(name)[\(row), \(column)] is \(value); expected \(range)")
  }
}
