import Foundation
import Numerics

/// The weight and Gram matrix of one linear, checked: shapes that belong together, every value a number, an H that can be one.
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
    try requireGram(gram, scale: 1 / scale)
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

  /// How far apart two entries that mirror each other may be, as a share of the larger or of the mean diagonal, and how far an
  /// entry may be beyond what the diagonal allows: a product adds in another order on each side, and a short type rounds what
  /// comes.
  static let rounding: Float = 0.01

  /// As a share of the largest diagonal entry, what rounding leaves in places where there should be nothing.
  static let roundingOfLargest: Float = 1e-6

  /// H is symmetric, not negative on the diagonal, and |E[x y]| is at most √(E[x²] · E[y²]). All that does not make it positive
  /// semidefinite; what is lacking shows where something has less energy than none: ``FitState/requireEnergy(_:of:)``.
  private static func requireGram(_ gram: Matrix, scale: Float) throws {
    let diagonal = (0..<gram.rows).map { gram[$0, $0] }
    let slack = roundingOfLargest * max(0, diagonal.max() ?? 0)
    if let bad = diagonal.firstIndex(where: { $0 < -slack }) {
      throw CRVQError(
        .input,
        "Gram matrix[\(bad), \(bad)] is \(diagonal[bad]); expected 0 or more on the diagonal, as in a mean of x xᵀ")
    }
    // Squares of what is very small are 0 where their products with others are not, above all in a short type.
    let roots = diagonal.map { (max(0, $0) + slack + Float.leastNormalMagnitude).squareRoot() }
    // In squares, so that both sides of the diagonal come from the cache.
    let side = 64
    for top in stride(from: 0, to: gram.rows, by: side) {
      for left in stride(from: 0, through: top, by: side) {
        for i in top..<min(gram.rows, top + side) {
          for j in left..<min(i + 1, left + side) {
            let (lower, upper) = (gram[i, j], gram[j, i])
            let larger = max(abs(lower), abs(upper))
            guard abs(lower - upper) <= rounding * max(larger, scale) else {
              throw CRVQError(
                .input,
                "the Gram matrix has \(lower) at [\(i), \(j)] and \(upper) at [\(j), \(i)]; "
                  + "expected a symmetric matrix")
            }
            guard larger <= (1 + rounding) * roots[i] * roots[j] + slack else {
              throw CRVQError(
                .input,
                "Gram matrix[\(i), \(j)] is \(lower), with \(diagonal[i]) and \(diagonal[j]) on the diagonal; "
                  + "expected at most the root of their product in magnitude, as in a mean of x xᵀ")
            }
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

extension Matrix {
  /// Whether this is the Gram matrix of inputs that are all zero, as its diagonal tells. They say nothing of which weights
  /// matter: the identity stands for it, by which all matter alike.
  var isOfZeroInputs: Bool { (0..<rows).allSatisfy { self[$0, $0] == 0 } }
}
