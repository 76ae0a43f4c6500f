import CRVQ
import Numerics
import Testing

/// The two ways in which a fit chooses its codes.
@Suite struct CodeSearchTests {
  /// e H eᵀ = Σ_g ‖(e L)_g‖² with the factor L: from the last group to the first, each takes the codewords that make its own
  /// term least, given the errors behind it.
  @Test(arguments: [64, 160]) func feedbackTakesTheBestCodewordsGivenTheErrorsBehind(columns: Int) {
    let small = SmallFit(seed: UInt64(columns), columns: columns)
    let d = small.d
    let factor = small.state.factorise(damping: 0.01)
    let l = small.gramInPlace.map(Double.init)
    small.state.feedBack(factor)
    for row in 0..<small.rows {
      let (w, e, scale) = (small.weight(row), small.residual(row), Double(small.state.scales.base[row]))
      for g in 0..<small.groups {
        /// ‖(e L)_g‖² with this error in the group.
        func term(_ error: [Double]) -> Double {
          (0..<d).reduce(0) { sum, t in
            let column = g * d + t
            let within = (t..<d).reduce(0.0) { $0 + error[$1] * l[(g * d + $1) * columns + column] }
            let whole = ((g + 1) * d..<columns).reduce(within) { $0 + e[$1] * l[$1 * columns + column] }
            return sum + whole * whole
          }
        }
        let chosen = term(Array(e[g * d..<(g + 1) * d]))
        let terms = small.choices(ofGroup: g).map { q in term((0..<d).map { w[g * d + $0] - scale * q[$0] }) }
        let (best, worst) = (terms.min() ?? 0, terms.max() ?? 0)
        #expect(chosen <= best + 1e-4 * worst, "row \(row), group \(g) of \(small.groups)")
      }
    }
  }

  @Test(arguments: [0, 0.25, 1], [1, 8]) func descentWithoutNoiseNeverRaisesARowsError(ratio: Double, beam: Int) {
    let small = SmallFit(seed: 74, criticalRatio: ratio, beamWidth: beam)
    let start = (0..<small.rows).map(small.error(_:))
    var last = start
    for visit in 0..<3 {
      small.state.descend(sweeps: 2, noise: 0, key: UInt64(visit))
      let errors = (0..<small.rows).map(small.error(_:))
      for row in errors.indices { #expect(errors[row] <= last[row] * (1 + 1e-4), "row \(row), visit \(visit)") }
      last = errors
    }
    #expect(last.reduce(0, +) < 0.9 * start.reduce(0, +))
  }

  /// One of them is critical, one is the last.
  @Test func descentLeavesGroupsAloneOfWhichHSaysNothing() {
    let dead: Set = [1, 4, 7]
    let small = SmallFit(seed: 75, deadGroups: dead)
    let before = (0..<small.groups).map(small.codes(ofGroup:))
    small.state.descend(sweeps: 2, noise: 0.5, key: 3)
    for g in 0..<small.groups { #expect((small.codes(ofGroup: g) == before[g]) == dead.contains(g), "group \(g)") }
  }
}
