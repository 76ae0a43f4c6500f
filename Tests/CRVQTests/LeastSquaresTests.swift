import CRVQ
import Foundation
import Numerics
import TestSupport
import Testing

/// The exact steps of a round beside naive solutions in double precision.
@Suite struct LeastSquaresTests {
  @Test func scalesAreQuotientsOfProducts() {
    let small = SmallFit(seed: TestRun.seed)
    let state = small.state
    state.rescale(gradient: nil)
    for row in 0..<small.rows {
      let (u, w) = (small.u(row), small.weight(row))
      let naive = small.form(w, u) / small.form(u, u)
      let distance = abs(Double(state.scales.base[row]) - naive)
      #expect(distance <= 1e-3 * abs(naive) + 1e-6, "\(TestRun.seedSetting)")
      let error = small.error(row)
      #expect(abs(state.rowErrors.base[row] - error) <= 1e-3 * error, "\(TestRun.seedSetting)")
    }
  }

  @Test func gradientIsThatOfTheCodebooks() {
    let small = SmallFit(seed: TestRun.seed)
    let refit = CodebookRefit(small.state)
    small.state.rescale(gradient: refit.gradient)
    let naive = naiveGradient(small)
    let size = naive.map(abs).max() ?? 0
    for i in naive.indices {
      #expect(abs(Double(refit.gradient.total.base[i]) - naive[i]) <= 2e-3 * size, "\(TestRun.seedSetting)")
    }
  }

  @Test func manyCodebookStepsSolveTheNormalEquations() {
    let small = SmallFit(seed: 72)
    let state = small.state
    let refit = CodebookRefit(state)
    state.rescale(gradient: refit.gradient)
    let before = (0..<small.rows).reduce(0) { $0 + small.error($1) }
    let best = bestError(small)
    refit.improve(state, steps: 300)
    let after = (0..<small.rows).reduce(0) { $0 + small.error($1) }
    #expect(best < 0.9 * before)
    #expect(after <= best * 1.01 + 1e-9, "before \(before), after \(after), best \(best)")
  }

  @Test func aSingleStepLowersTheError() {
    let small = SmallFit(seed: TestRun.seed)
    let refit = CodebookRefit(small.state)
    small.state.rescale(gradient: refit.gradient)
    let before = (0..<small.rows).reduce(0) { $0 + small.error($1) }
    refit.improve(small.state, steps: 1)
    #expect((0..<small.rows).reduce(0) { $0 + small.error($1) } < before, "\(TestRun.seedSetting)")
  }

  /// Sᵀ(diag(s) (W-Ŵ) H).
  private func naiveGradient(_ small: SmallFit) -> [Double] {
    var gradient = [Double](repeating: 0, count: small.state.codebooks.count)
    for row in 0..<small.rows {
      let s = Double(small.state.scales.base[row])
      let e = small.residual(row)
      for c in 0..<small.n {
        let r = (0..<small.n).reduce(0) { $0 + e[$1] * Double(small.h[$1 * small.n + c]) }
        for place in small.places(row, c) { gradient[place] += s * r }
      }
    }
    return gradient
  }

  /// The error at the solution of the normal equations, written out and solved by elimination: with the gradient g and the
  /// matrix N, moving the codebooks by N⁻¹g lowers the error by gᵀN⁻¹g.
  private func bestError(_ small: SmallFit) -> Double {
    let count = small.state.codebooks.count
    var a = [[Double]](repeating: [Double](repeating: 0, count: count + 1), count: count)
    for row in 0..<small.rows {
      let s = Double(small.state.scales.base[row])
      let places = (0..<small.n).map { small.places(row, $0) }
      for c in 0..<small.n {
        for b in 0..<small.n {
          let value = s * s * Double(small.h[c * small.n + b])
          for i in places[c] { for j in places[b] { a[i][j] += value } }
        }
      }
    }
    let gradient = naiveGradient(small)
    let trace = (0..<count).reduce(0) { $0 + a[$1][$1] }
    for i in 0..<count {
      a[i][count] = gradient[i]
      // Sums of codebooks leave directions open: the shift of one by what another loses.
      a[i][i] += 1e-9 * trace
    }
    for pivot in 0..<count {
      for i in pivot + 1..<max(pivot + 1, count) {
        let factor = a[i][pivot] / a[pivot][pivot]
        if factor == 0 { continue }
        for j in pivot...count { a[i][j] -= factor * a[pivot][j] }
      }
    }
    var move = [Double](repeating: 0, count: count)
    for i in (0..<count).reversed() {
      var sum = a[i][count]
      for j in i + 1..<max(i + 1, count) { sum -= a[i][j] * move[j] }
      move[i] = sum / a[i][i]
    }
    let before = (0..<small.rows).reduce(0) { $0 + small.error($1) }
    return before - zip(gradient, move).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

/// The factorisation for error feedback beside the recursion that defines it.
@Suite struct FeedbackFactorTests {
  @Test(arguments: [4, 8, 16]) func factorFollowsTheRecursionAndGivesTheGramBack(d: Int) {
    // More than a panel and more than a tile.
    let n = 432
    var input = RandomInput(seed: TestRun.seed)
    let loose = input.normals(n * 40)
    var gram = [Float](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0...i {
        let sum = (0..<40).reduce(Float(i == j ? 10 : 0)) { $0 + loose[i * 40 + $1] * loose[j * 40 + $1] }
        (gram[i * n + j], gram[j * n + i]) = (sum / 50, sum / 50)
      }
    }
    var weight = input.weight(3, n).values
    var working = gram
    weight.withUnsafeMutableBufferPointer { w in
      working.withUnsafeMutableBufferPointer { h in
        let format = PackedFormat(groupSize: d, codebookBits: [4, 4], criticalRatio: 0.1)
        let state = FitState(
          FitShape(rows: 3, channels: n, format: format), w: Buffer(borrowing: w), h: Buffer(borrowing: h),
          beamWidth: 1, team: ThreadTeam(threads: 2))
        state.prepareProducts()
        let factor = state.factorise(damping: 0.01)
        check(Array(h), missed: factor.missed, gram, d: d)
        state.restoreGram(factor)
      }
    }
    #expect(working == gram, "\(TestRun.seedSetting)")
  }

  /// H' = H_rr - (1-δ) H_rg H_gg⁻¹ H_gr, group by group: L_gg L_ggᵀ is the pivot and L_rg L_ggᵀ what stands below it.
  private func check(_ l: [Float], missed: [Float], _ gram: [Float], d: Int) {
    let n = missed.count * d
    var rest = gram.map(Double.init)
    for i in 0..<n { rest[i * n + i] += 0.01 }
    var (products, expected): ([Double], [Double]) = ([], [])
    for g in missed.indices {
      let first = g * d
      func entry(_ i: Int, _ j: Int) -> Double { j <= i ? Double(l[i * n + j]) : 0 }
      for i in first..<n {
        for j in first..<first + d where j <= i {
          products.append((first...j).reduce(0) { $0 + entry(i, $1) * entry(j, $1) })
          expected.append(rest[i * n + j])
        }
      }
      let share = 1 - Double(missed[g])
      for i in first + d..<max(first + d, n) {
        for j in first + d...i {
          let product = (first..<first + d).reduce(0) { $0 + entry(i, $1) * entry(j, $1) }
          rest[i * n + j] -= share * product
        }
      }
    }
    #expect(worstDifference(products, expected) < 1e-3, "\(TestRun.seedSetting)")
  }
}
