import Numerics

extension FitState {
  /// Refuses an H by which something has less energy than none: a fit would drive its error there and call itself perfect.
  ///
  /// Rounding goes below zero as well, where H is singular: it adds a share of √(H_ii · H_jj) at most to an entry, and in · in
  /// such errors, independent of one another, make an eigenvalue of √in times that share, in units of the diagonal.
  ///
  /// - Parameters:
  ///   - energy: tr(X H Xᵀ) with X = W, or what a fit leaves of it.
  ///   - trace: what messages call it.
  /// - Throws: ``CRVQError`` (`input`).
  func requireEnergy(_ energy: Double, of trace: String) throws {
    guard energy < 0 else { return }
    let diagonal = (0..<columns).map { max(0, Double(h.base[$0 * columns + $0])) }
    let least = Double(Problem.roundingOfLargest) * (diagonal.max() ?? 0)
    var scale = 0.0
    for row in 0..<rows {
      for c in 0..<columns {
        let weight = Double(w.base[row * columns + c])
        scale += weight * weight * (diagonal[c] + least)
      }
    }
    guard energy < -Double(Problem.rounding) * Double(columns).squareRoot() * scale else { return }
    throw CRVQError(
      .input,
      "the Gram matrix is not positive semidefinite: \(trace) is \(energy / scale) times Σ w² · diag(H); "
        + "expected 0 or more, as with a mean of x xᵀ")
  }
}
