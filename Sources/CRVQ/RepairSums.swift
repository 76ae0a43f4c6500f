import Numerics

/// What a repair is made from: means over tokens, each weighed by how much its error counts.
public struct RepairSums: Sendable {
  /// H = E[x xᵀ] [in, in], symmetric, with x what the repairing linear sees in the packed block.
  public let gram: Matrix
  /// L = E[(y - ŷ) xᵀ] [out, in], what the block's output lacks while the linear has its original weight.
  public let loss: Matrix
  /// The number of tokens both are means over.
  public let tokens: Int

  public init(gram: Matrix, loss: Matrix, tokens: Int) {
    precondition(gram.rows == gram.columns && loss.columns == gram.columns, "a loss by the Gram matrix's channels")
    precondition(tokens > 0, "a mean over something")
    self.gram = gram
    self.loss = loss
    self.tokens = tokens
  }

  /// A channel with less than this share of the mean energy is dead. Its values are sums of products in single precision, and at
  /// 1e-5 of the usual loudness they are rounding for the most part; least squares would fit what is lost to that, with a weight
  /// that is the larger the quieter the channel. No real channel is near: a thousand times quieter than the loudest is 1e-6.
  private static let deadShare = 1e-10

  /// The same without some of its tokens.
  func without(_ part: RepairSums) -> RepairSums {
    precondition(part.tokens < tokens, "a part is not the whole")
    let (whole, share) = (Float(tokens) / Float(tokens - part.tokens), Float(part.tokens) / Float(tokens - part.tokens))
    func rest(_ a: Matrix, _ b: Matrix) -> Matrix {
      Matrix(rows: a.rows, columns: a.columns, values: zip(a.values, b.values).map { whole * $0 - share * $1 })
    }
    return RepairSums(gram: rest(gram, part.gram), loss: rest(loss, part.loss), tokens: tokens - part.tokens)
  }

  /// Δ = L · (H + λ · diag H)⁻¹ [out, in], what to add to the weight, 0 in dead channels; nil where that is not positive
  /// definite even so.
  ///
  /// A ridge a channel, not one for all, because some channels are a thousand times louder than others.
  func change(ridge: Float, team: ThreadTeam) -> Matrix? {
    let n = gram.columns
    // With D = diag(H): (H + λD)⁻¹ = D^-½ (D^-½ H D^-½ + λ)⁻¹ D^-½, whose inner matrix single precision can factorise.
    let energy = (0..<n).reduce(0.0) { $0 + Double(gram[$1, $1]) }
    let least = Float(max(0, Self.deadShare * energy / Double(n)))
    let roots = (0..<n).map { gram[$0, $0] > least ? 1 / gram[$0, $0].squareRoot() : 0 }
    var factor = gram
    let isPositive = factor.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return false }
      nonisolated(unsafe) let rows = start
      team.forEachRange(n, grain: 64) { range in
        for row in range {
          for column in 0..<n { rows[row * n + column] *= roots[row] * roots[column] }
          rows[row * n + row] += roots[row] > 0 ? ridge : 1
        }
      }
      return BlockedCholesky(start, n: n, team: team).factorise()
    }
    guard isPositive else { return nil }
    var change = loss
    change.values.withUnsafeMutableBufferPointer { values in
      factor.values.withUnsafeBufferPointer { factor in
        guard let start = values.baseAddress, let factor = factor.baseAddress else { return }
        nonisolated(unsafe) let (rows, lower) = (start, factor)
        team.forEachRange(loss.rows, grain: 64) { range in
          for row in range { for c in 0..<n { rows[row * n + c] *= roots[c] } }
          let band = rows + range.lowerBound * n
          BLAS.solveLower(.yes, m: range.count, n: n, lower, lda: n, band, ldb: n)
          BLAS.solveLower(.no, m: range.count, n: n, lower, lda: n, band, ldb: n)
          for row in range { for c in 0..<n { rows[row * n + c] *= roots[c] } }
        }
      }
    }
    return change
  }

  /// By how much adding `change` to the weight lowers the mean squared error of the output on these tokens:
  /// 2 ⟨Δ, L⟩ - tr(Δ H Δᵀ), negative if it raises it.
  func gain(of change: Matrix, team: ThreadTeam) -> Double {
    let overlap = zip(change.values, loss.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let energy = outputEnergy(rows: change.rows, gram: gram, team: team) { change.values[$0 * change.columns + $1] }
    return 2 * overlap - energy
  }
}
