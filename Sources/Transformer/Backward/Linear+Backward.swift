import Numerics

extension Linear {
  /// gradient [rows, in] ← upstream [rows, out] · W, or gradient + that when accumulating.
  func backward(
    _ upstream: UnsafePointer<Float>, rows: Int, into gradient: UnsafeMutablePointer<Float>, accumulate: Bool = false
  ) {
    weight.values.withUnsafeBufferPointer { weights in
      guard let weights = weights.baseAddress else { return }
      BLAS.sgemm(
        .no, .no, m: rows, n: weight.columns, k: weight.rows, upstream, lda: weight.rows, weights,
        ldb: weight.columns, beta: accumulate ? 1 : 0, gradient, ldc: weight.columns)
    }
  }
}

/// ∂loss/∂W = upstreamᵀ · input over all rows of a micro-batch, in fixed tiles, sequence after sequence.
struct WeightGradient {
  /// Outputs and inputs a tile.
  private static let tile = 256

  /// [sequences, length, out], the gradient of the linear's result.
  let upstream: UnsafePointer<Float>
  /// [sequences, length, in], what the linear was applied to.
  let input: UnsafePointer<Float>
  let outFeatures: Int
  let inFeatures: Int

  /// Overwrites `gradient`, [out, in].
  func compute(sequences: Int, length: Int, team: ThreadTeam, into gradient: UnsafeMutablePointer<Float>) {
    let columns = (inFeatures + Self.tile - 1) / Self.tile
    let rows = (outFeatures + Self.tile - 1) / Self.tile
    team.forEach(rows * columns) { index in
      let (out, into) = (index / columns * Self.tile, index % columns * Self.tile)
      for sequence in 0..<sequences {
        BLAS.sgemm(
          .yes, .no, m: min(Self.tile, outFeatures - out), n: min(Self.tile, inFeatures - into), k: length,
          upstream + sequence * length * outFeatures + out, lda: outFeatures,
          input + sequence * length * inFeatures + into, ldb: inFeatures, beta: sequence > 0 ? 1 : 0,
          gradient + out * inFeatures + into, ldc: inFeatures)
      }
    }
  }
}
