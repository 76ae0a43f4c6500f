import Numerics

/// The weight that a linear should have had to make up for what its block lost before it: W + L · (H + Λ)⁻¹.
///
/// Least squares of the block's output over the linear's weight, its inputs as they are in the packed block. Λ = λ · diag(H)
/// keeps directions that the calibration data hardly show from being fitted to noise. With n tokens for as many unknowns a row
/// as there are channels, the noise of L grows with in / n, and so does λ. A ridge a channel, not one for all, because some
/// channels are a thousand times louder than others.
///
/// - Parameters:
///   - weight: W [out, in].
///   - loss: L = E[(y - ŷ) xᵀ] [out, in], what the block's output lacks while the linear has W, by the linear's input x.
///   - gram: H = E[x xᵀ] [in, in], symmetric.
///   - tokens: n, over which both expectations were taken.
/// - Returns: [out, in]; W itself where H is not positive definite even so.
public func repairedWeight(_ weight: Matrix, loss: Matrix, gram: Matrix, tokens: Int, team: ThreadTeam) -> Matrix {
  precondition(loss.rows == weight.rows && loss.columns == weight.columns, "a loss of the weight's shape")
  precondition(gram.rows == weight.columns && gram.columns == weight.columns, "a Gram matrix of the weight's channels")
  let n = weight.columns
  let ridge = Repair.ridge + Repair.ridgePerUnknown * Float(n) / Float(max(1, tokens))
  // With D = diag(H): (H + λD)⁻¹ = D^-½ (D^-½ H D^-½ + λ)⁻¹ D^-½, whose inner matrix single precision can factorise.
  let roots = (0..<n).map { gram[$0, $0] > 0 ? 1 / gram[$0, $0].squareRoot() : 0 }
  var factor = gram
  for row in 0..<n {
    for column in 0..<n { factor[row, column] *= roots[row] * roots[column] }
    factor[row, row] += roots[row] > 0 ? ridge : 1
  }
  let isPositive = factor.values.withUnsafeMutableBufferPointer { values in
    values.baseAddress.map { BLAS.spotrfUpper(n: n, $0) == nil } ?? false
  }
  guard isPositive else { return weight }

  var result = loss
  result.values.withUnsafeMutableBufferPointer { values in
    factor.values.withUnsafeBufferPointer { factor in
      guard let start = values.baseAddress, let factor = factor.baseAddress else { return }
      nonisolated(unsafe) let (rows, upper) = (start, factor)
      team.forEachRange(weight.rows, grain: 64) { range in
        for row in range { for c in 0..<n { rows[row * n + c] *= roots[c] } }
        let band = rows + range.lowerBound * n
        BLAS.solveUpper(.no, m: range.count, n: n, upper, lda: n, band, ldb: n)
        BLAS.solveUpper(.yes, m: range.count, n: n, upper, lda: n, band, ldb: n)
        for row in range {
          for c in 0..<n { rows[row * n + c] = weight.values[row * n + c] + rows[row * n + c] * roots[c] }
        }
      }
    }
  }
  return result
}

private enum Repair {
  static let ridge: Float = 0.01
  static let ridgePerUnknown: Float = 0.1
}
