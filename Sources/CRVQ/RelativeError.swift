import Numerics

/// tr((W-Ŵ) H (W-Ŵ)ᵀ) / tr(W H Wᵀ): the share of a layer's output energy that is lost (`weight` and `decoded` [out, in],
/// `gram` [in, in] symmetric). Where there is no output energy all weights count alike, ``frobeniusError(weight:decoded:)``: with a
/// Gram matrix of zeros, as a fit has it, and for weights so small that single precision has nothing of their squares.
public func relativeError(weight: Matrix, decoded: Matrix, gram: Matrix, team: ThreadTeam) -> Double {
  precondition(weight.rows == decoded.rows && weight.columns == decoded.columns, "two weights of one shape")
  precondition(gram.rows == weight.columns && gram.columns == weight.columns, "a Gram matrix of the weight's channels")
  if gram.isOfZeroInputs { return frobeniusError(weight: weight, decoded: decoded) }
  let lost = outputEnergy(rows: weight.rows, gram: gram, team: team) { row, column in
    weight.values[row * weight.columns + column] - decoded.values[row * weight.columns + column]
  }
  let whole = outputEnergy(rows: weight.rows, gram: gram, team: team) { weight.values[$0 * weight.columns + $1] }
  return whole > 0 ? EnergyLoss.share(lost, of: whole) : frobeniusError(weight: weight, decoded: decoded)
}

/// ‖W-Ŵ‖² / ‖W‖², the error that the identity as Gram matrix would give.
public func frobeniusError(weight: Matrix, decoded: Matrix) -> Double {
  precondition(weight.values.count == decoded.values.count, "two weights of one shape")
  var lost = 0.0
  var whole = 0.0
  for (value, approximation) in zip(weight.values, decoded.values) {
    let difference = Double(value) - Double(approximation)
    lost += difference * difference
    whole += Double(value) * Double(value)
  }
  return EnergyLoss.share(lost, of: whole)
}

/// tr(X H Xᵀ) for X [rows, n] given entry by entry: products in single precision over fixed blocks of rows, sums in double.
@inline(__always)
func outputEnergy(rows: Int, gram: Matrix, team: ThreadTeam, _ entry: (Int, Int) -> Float) -> Double {
  let n = gram.columns
  let grain = 64
  let pieces = Buffer<Double>((rows + grain - 1) / grain, filledWith: 0)
  gram.values.withUnsafeBufferPointer { gram in
    guard let h = gram.baseAddress else { return }
    withoutActuallyEscaping(entry) { entry in
      team.forEachRange(rows, grain: grain) { range in
        let x = Buffer<Float>(range.count * n)
        let product = Buffer<Float>(range.count * n)
        for row in range {
          let to = x.base + (row - range.lowerBound) * n
          for column in 0..<n { to[column] = entry(row, column) }
        }
        BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, x.base, lda: n, h, ldb: n, product.base, ldc: n)
        var sum = 0.0
        for row in 0..<range.count {
          var rowSum = 0.0
          for column in 0..<n { rowSum += Double(x.base[row * n + column]) * Double(product.base[row * n + column]) }
          sum += rowSum
        }
        pieces.base[range.lowerBound / grain] = sum
      }
    }
  }
  return pieces.array.reduce(0, +)
}
