import Foundation
import Numerics

/// The factor by which codes are chosen group by group while the error made so far is pushed onto the groups to come
/// (GPTQ, arXiv 2210.17323; LDLQ, arXiv 2307.13304; here for vectors, and with groups that can take up errors only in part).
///
/// With H = L Lᵀ, L lower triangular, e H eᵀ = Σ_g ‖(e L)_g‖², and (e L)_g = Σ_{j≥g} e_j L_jg depends on the groups from g on.
/// Going from the last group to the first, each group's term is decided by its own codeword once those behind it are fixed.
/// That would hold exactly if groups could take any value: the terms of groups to come would then be cancelled in full. At b
/// bits a weight a group misses its target by about δ = 2^(-2b) of the target's energy, so a share δ of what is pushed onto it
/// stays. The expected cost to come is then that of a factorisation which takes only the share 1 - δ of each group off the
/// rest: H' = H_rr - (1-δ) H_rg H_gg⁻¹ H_gr. It is the ordinary one with pivots divided by 1 - δ.
///
/// Critical groups stand first in the packed order and come last here: they have the finest codes to take up the error of all
/// others.
///
/// The factor lies below and on the diagonal of the state's H, whose upper triangle stays: no second [in, in] matrix is
/// needed. ``FitState/restoreGram(_:)`` puts H back.
package struct FeedbackFactor {
  /// L_ggᵀ, [groups, d, d]: turns (e L)_g into a query.
  let transposedBlocks: Buffer<Float>
  /// L_gg L_ggᵀ, [groups, d, d]: the metric of group g.
  let metric: Buffer<Float>
  /// L's blocks of ``FitState/panelColumns`` columns on the diagonal, zeros above the diagonal, one after another.
  let corners: Buffer<Float>
  /// δ of every group.
  package let missed: [Float]
  /// The diagonal of H.
  fileprivate let diagonal: Buffer<Float>
}

extension FitState {
  /// Columns that are eliminated, and later chosen, together.
  static let panelColumns = BlockedCholesky.panelColumns

  /// Factorises H + damping · mean(diag H) in place; damping grows tenfold until that is positive definite.
  package func factorise(damping: Double) -> FeedbackFactor {
    let n = columns
    let diagonal = Buffer<Float>(n)
    for c in 0..<n { diagonal.base[c] = h.base[c * n + c] }
    let bits = books.map { Double($0.count.trailingZeroBitCount) }
    let missed = (0..<groups).map { g in
      Float(exp2(-2 * bits.prefix(g < critical ? bits.count : 1).reduce(0, +) / Double(d)))
    }
    // The state's H has a mean diagonal of 1.
    var added = Float(damping)
    while true {
      for c in 0..<n { h.base[c * n + c] = diagonal.base[c] + added }
      if BlockedCholesky(h.base, n: n, team: team).factorise(entry: { eliminated($0, $1, $2, missed) }) { break }
      // Ends: once the addition outweighs the largest row sum of H the matrix is diagonally dominant.
      added *= 10
      mirrorUpper()
    }
    return collectFactor(missed, diagonal)
  }

  /// Undoes ``factorise(damping:)``.
  package func restoreGram(_ factor: FeedbackFactor) {
    mirrorUpper()
    for c in 0..<columns { h.base[c * columns + c] = factor.diagonal.base[c] }
  }

  /// H below the diagonal from H above it.
  private func mirrorUpper() {
    let n = columns
    team.forEachRange(n, grain: 64) { range in
      for left in stride(from: 0, to: range.upperBound, by: 64) {
        for row in range {
          for column in left..<max(left, min(row, left + 64)) { h.base[row * n + column] = h.base[column * n + row] }
        }
      }
    }
  }

  /// What is left of H at row i and column j of the block that begins at `start`. In the end each group's columns below the
  /// diagonal block are √(1-δ) times what they should be, and the block itself is divided by it.
  private func eliminated(_ i: Int, _ j: Int, _ start: Int, _ missed: [Float]) -> Float {
    let (row, other) = (h.base + i * columns, h.base + j * columns)
    let group = j / d * d
    var sum = row[j] - BLAS.sdot(group - start, row + start, other + start)
    // A group's pivots are inflated when all groups before it are eliminated and none of its own columns.
    if group == i / d * d { sum /= 1 - missed[j / d] }
    return sum - BLAS.sdot(j - group, row + group, other + group)
  }

  /// Undoes the scaling that ``eliminated(_:_:_:_:)`` leaves and sets aside what the pass reads most.
  private func collectFactor(_ missed: [Float], _ diagonal: Buffer<Float>) -> FeedbackFactor {
    let n = columns
    let corners = Buffer<Float>(n * Self.panelColumns, filledWith: 0)
    let factor = FeedbackFactor(
      transposedBlocks: Buffer(groups * d * d), metric: Buffer(groups * d * d), corners: corners, missed: missed,
      diagonal: diagonal)
    team.forEachRange(groups, grain: 8) { range in
      for row in range.lowerBound * d..<range.upperBound * d {
        let values = h.base + row * n
        for g in 0...row / d {
          let root = (1 - missed[g]).squareRoot()
          let share = g == row / d ? root : 1 / root
          for c in g * d...min(row, g * d + d - 1) { values[c] *= share }
        }
        let start = row / Self.panelColumns * Self.panelColumns
        let width = min(Self.panelColumns, n - start)
        (corners.base + start * Self.panelColumns + (row - start) * width).update(
          from: values + start, count: row - start + 1)
      }
      for g in range {
        let block = h.base + g * d * n + g * d
        func entry(_ i: Int, _ j: Int) -> Float { j <= i ? block[i * n + j] : 0 }
        for t in 0..<d {
          for c in 0..<d {
            factor.transposedBlocks.base[(g * d + t) * d + c] = entry(c, t)
            factor.metric.base[(g * d + t) * d + c] = (0...min(t, c)).reduce(0) { $0 + entry(t, $1) * entry(c, $1) }
          }
        }
      }
    }
    return factor
  }
}
