import CRVQ
import Foundation
import Numerics
import TestSupport
import Testing

/// The exact steps of a round beside naive solutions in double precision.
@Suite struct LeastSquaresTests {
  /// A fit's state with random codes, codebooks and scales, and the same numbers for plain loops.
  private final class Setting {
    let rows = 24
    let n = 64
    let d = 8
    let state: FitState
    let w: [Float]
    let h: [Float]
    private let memory: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>)

    init(seed: UInt64) {
      var input = RandomInput(seed: seed)
      w = input.weight(rows, n).values
      h = input.gram(n, samples: 200).values
      memory = (.allocate(capacity: w.count), .allocate(capacity: h.count))
      _ = memory.0.initialize(from: w)
      _ = memory.1.initialize(from: h)
      let format = PackedFormat(groupSize: 8, codebookBits: [3, 2, 2], criticalRatio: 0.25)
      state = FitState(
        FitShape(rows: rows, channels: n, format: format), w: Buffer(borrowing: memory.0),
        h: Buffer(borrowing: memory.1), beamWidth: 4, team: ThreadTeam(threads: 2))
      state.prepareProducts()
      for i in 0..<state.codebooks.count { state.codebooks.base[i] = input.stream.normal() }
      for row in 0..<rows { state.scales.base[row] = 0.02 + 0.05 * input.stream.uniform() }
      for book in state.books {
        for i in 0..<rows * book.groups {
          state.codes.base[book.codeOffset + i] = UInt16(input.stream.index(below: book.count))
        }
      }
      state.refreshTables()
    }

    deinit {
      memory.0.deallocate()
      memory.1.deallocate()
    }

    /// The indices in the codebooks' buffer whose sum is u[row, c].
    func places(_ row: Int, _ c: Int) -> [Int] {
      state.books.filter { c / d < $0.groups }.map {
        $0.offset + Int(state.codes.base[$0.codeOffset + row * $0.groups + c / d]) * d + c % d
      }
    }

    func u(_ row: Int) -> [Double] {
      (0..<n).map { c in places(row, c).reduce(0) { $0 + Double(state.codebooks.base[$1]) } }
    }

    func weight(_ row: Int) -> [Double] { (0..<n).map { Double(w[row * n + $0]) } }

    func form(_ x: [Double], _ y: [Double]) -> Double {
      var sum = 0.0
      for a in 0..<n { for b in 0..<n { sum += x[a] * Double(h[a * n + b]) * y[b] } }
      return sum
    }

    func error(_ row: Int) -> Double {
      let e = zip(weight(row), u(row)).map { $0 - Double(state.scales.base[row]) * $1 }
      return form(e, e)
    }
  }

  @Test func scalesAreQuotientsOfProducts() {
    let setting = Setting(seed: 70)
    let state = setting.state
    state.rescale(gradient: nil)
    for row in 0..<setting.rows {
      let (u, w) = (setting.u(row), setting.weight(row))
      let naive = setting.form(w, u) / setting.form(u, u)
      #expect(abs(Double(state.scales.base[row]) - naive) <= 1e-3 * abs(naive) + 1e-6)
      let error = setting.error(row)
      #expect(abs(state.rowErrors.base[row] - error) <= 1e-3 * error)
    }
  }

  @Test func gradientIsThatOfTheCodebooks() {
    let setting = Setting(seed: 71)
    let refit = CodebookRefit(setting.state)
    setting.state.rescale(gradient: refit.gradient)
    let naive = naiveGradient(setting)
    let size = naive.map(abs).max() ?? 0
    for i in naive.indices { #expect(abs(Double(refit.gradient.total.base[i]) - naive[i]) <= 2e-3 * size) }
  }

  @Test func manyCodebookStepsSolveTheNormalEquations() {
    let setting = Setting(seed: 72)
    let state = setting.state
    let refit = CodebookRefit(state)
    state.rescale(gradient: refit.gradient)
    let before = (0..<setting.rows).reduce(0) { $0 + setting.error($1) }
    let best = bestError(setting)
    refit.improve(state, steps: 300)
    let after = (0..<setting.rows).reduce(0) { $0 + setting.error($1) }
    #expect(best < 0.9 * before)
    #expect(after <= best * 1.01 + 1e-9, "before \(before), after \(after), best \(best)")
  }

  @Test func aSingleStepLowersTheError() {
    let setting = Setting(seed: 73)
    let refit = CodebookRefit(setting.state)
    setting.state.rescale(gradient: refit.gradient)
    let before = (0..<setting.rows).reduce(0) { $0 + setting.error($1) }
    refit.improve(setting.state, steps: 1)
    #expect((0..<setting.rows).reduce(0) { $0 + setting.error($1) } < before)
  }

  /// Sᵀ(diag(s) (W-Ŵ) H).
  private func naiveGradient(_ setting: Setting) -> [Double] {
    var gradient = [Double](repeating: 0, count: setting.state.codebooks.count)
    for row in 0..<setting.rows {
      let s = Double(setting.state.scales.base[row])
      let e = zip(setting.weight(row), setting.u(row)).map { $0 - s * $1 }
      for c in 0..<setting.n {
        let r = (0..<setting.n).reduce(0) { $0 + e[$1] * Double(setting.h[$1 * setting.n + c]) }
        for place in setting.places(row, c) { gradient[place] += s * r }
      }
    }
    return gradient
  }

  /// The error at the solution of the normal equations, written out and solved by elimination: with the gradient g and the
  /// matrix N, moving the codebooks by N⁻¹g lowers the error by gᵀN⁻¹g.
  private func bestError(_ setting: Setting) -> Double {
    let count = setting.state.codebooks.count
    var a = [[Double]](repeating: [Double](repeating: 0, count: count + 1), count: count)
    for row in 0..<setting.rows {
      let s = Double(setting.state.scales.base[row])
      let places = (0..<setting.n).map { setting.places(row, $0) }
      for c in 0..<setting.n {
        for b in 0..<setting.n {
          let value = s * s * Double(setting.h[c * setting.n + b])
          for i in places[c] { for j in places[b] { a[i][j] += value } }
        }
      }
    }
    let gradient = naiveGradient(setting)
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
    let before = (0..<setting.rows).reduce(0) { $0 + setting.error($1) }
    return before - zip(gradient, move).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

/// The factorisation for error feedback beside the recursion that defines it.
@Suite struct FeedbackFactorTests {
  @Test(arguments: [4, 8, 16]) func factorFollowsTheRecursionAndGivesTheGramBack(d: Int) {
    // More than a panel and more than a tile.
    let n = 432
    var input = RandomInput(seed: UInt64(80 + d))
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
    #expect(working == gram)
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
    #expect(worstDifference(products, expected) < 1e-3)
  }
}
