import Numerics

/// Codebooks for fixed codes and scales: one linear least-squares problem for all of them together, approached by conjugate
/// gradients from where they are.
///
/// The first gradient comes from the product with H that the scale step makes anyway; each step costs one more. Codebooks
/// start near the solution of a problem that changes little from round to round, so that a step or two in each are enough.
package final class CodebookRefit: Sendable {
  /// Half the negative gradient, laid out as the codebooks are; see ``FitState/rescale(gradient:)``.
  package let gradient: PartialSums
  private let product: PartialSums
  private let residual: Buffer<Float>
  private let z: Buffer<Float>
  private let direction: Buffer<Float>
  private let blocks: CodewordBlocks
  /// Of each sampled row.
  private let curvatures: Buffer<Double>

  /// Rows that a sample has at least, where there are as many.
  private static let sampledRows = 256

  /// Every which row is in the sample.
  private static func sampleStep(rows: Int) -> Int { max(1, rows / sampledRows) }

  /// The cost of a single step in products with H for all rows.
  static func sampledShare(rows: Int) -> Double { 1 / Double(sampleStep(rows: rows)) }

  package init(_ state: FitState) {
    let count = state.codebooks.count
    gradient = PartialSums(count: count, bands: state.bands)
    product = PartialSums(count: count, bands: state.bands)
    residual = Buffer(count)
    z = Buffer(count)
    direction = Buffer(count)
    blocks = CodewordBlocks(state)
    curvatures = Buffer(state.rows)
  }

  /// At most `steps` conjugate gradient steps with ``gradient``.
  ///
  /// A single step is along the preconditioned gradient and needs the curvature there, one number, for which a sample of the
  /// rows is enough.
  package func improve(_ state: FitState, steps: Int) {
    let count = state.codebooks.count
    if steps == 0 { return }
    blocks.update(state)
    residual.base.update(from: gradient.total.base, count: count)
    blocks.precondition(residual, into: z)
    direction.base.update(from: z.base, count: count)
    var rho = dot(residual, z)
    let first = rho
    if steps == 1 {
      let length = Float(rho / (sampledCurvature(state) ?? wholeCurvature(state)))
      if length > 0, length.isFinite { BLAS.saxpy(count, length, direction.base, state.codebooks.base) }
      state.refreshTables()
      return
    }
    for _ in 0..<steps where rho > 1e-6 * first {
      let curvature = wholeCurvature(state)
      // An indefinite H can make it negative: then there is no minimum along this direction.
      guard curvature > 0 else { break }
      let length = Float(rho / curvature)
      guard length.isFinite else { break }
      BLAS.saxpy(count, length, direction.base, state.codebooks.base)
      BLAS.saxpy(count, -length, product.total.base, residual.base)
      blocks.precondition(residual, into: z)
      let next = dot(residual, z)
      let share = Float(next / rho)
      for i in 0..<count { direction.base[i] = z.base[i] + share * direction.base[i] }
      rho = next
    }
    state.refreshTables()
  }

  /// ⟨direction, normal operator of direction⟩; ``product`` is then what the operator makes of it.
  private func wholeCurvature(_ state: FitState) -> Double {
    applyNormal(state)
    return dot(direction, product.total)
  }

  /// What the normal operator makes of ``direction``, into ``product``.
  private func applyNormal(_ state: FitState) {
    let n = state.columns
    product.clear()
    state.forEachPieceByBand { band, range, scratch in
      let (u, r) = (scratch.u.base, scratch.r.base)
      for row in range {
        state.reconstruct(row: row, into: u + (row - range.lowerBound) * n, from: direction.base)
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, u, lda: n, state.h.base, ldb: n, r, ldc: n)
      for row in range {
        let scale = state.scales.base[row]
        state.scatter(
          row: row, r + (row - range.lowerBound) * n, factor: scale * scale, into: product.part(band))
      }
    }
    product.add()
  }

  /// As ``wholeCurvature(_:)``, from every few rows; nil if they are all zero.
  ///
  /// A row counts by the square of its scale, so the sample stands for all rows by its share of those squares, not of the
  /// rows: scales that repeat with the sample's step would make the length of a step wrong many times over.
  private func sampledCurvature(_ state: FitState) -> Double? {
    let n = state.columns
    let step = Self.sampleStep(rows: state.rows)
    let sampled = (state.rows + step - 1) / step
    state.forEachPiece(rows: sampled, grain: FitState.grain(rows: sampled)) { piece, range, scratch in
      let (u, r) = (scratch.u.base, scratch.r.base)
      for i in range {
        state.reconstruct(row: i * step, into: u + (i - range.lowerBound) * n, from: direction.base)
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, u, lda: n, state.h.base, ldb: n, r, ldc: n)
      for i in range {
        let at = (i - range.lowerBound) * n
        let scale = Double(state.scales.base[i * step])
        curvatures.base[i] = scale * scale * Double(BLAS.sdot(n, u + at, r + at))
      }
    }
    let sum = (0..<sampled).reduce(0.0) { $0 + curvatures.base[$1] }
    let seen = squaredScales(state, step: step)
    return seen > 0 ? sum * squaredScales(state, step: 1) / seen : nil
  }

  private func squaredScales(_ state: FitState, step: Int) -> Double {
    stride(from: 0, to: state.rows, by: step).reduce(0.0) { sum, row in
      sum + Double(state.scales.base[row]) * Double(state.scales.base[row])
    }
  }

  private func dot(_ a: Buffer<Float>, _ b: Buffer<Float>) -> Double {
    var sum = 0.0
    for i in 0..<a.count { sum += Double(a.base[i]) * Double(b.base[i]) }
    return sum
  }
}
