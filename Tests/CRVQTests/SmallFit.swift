import CRVQ
import Numerics

/// A fit's state with random codes, codebooks and scales, and the same numbers for plain loops.
final class SmallFit {
  let rows = 24
  let n: Int
  let d = 8
  let state: FitState
  let w: [Float]
  let h: [Float]
  private let memory: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>)

  /// - Parameters:
  ///   - beamWidth: with 32 no hypothesis for the three codewords of a critical group is dropped.
  ///   - deadGroups: those of which H says nothing.
  init(
    seed: UInt64, columns n: Int = 64, criticalRatio: Double = 0.25, beamWidth: Int = 32, deadGroups: Set<Int> = []
  ) {
    self.n = n
    var input = RandomInput(seed: seed)
    w = input.weight(rows, n).values
    var gram = input.gram(n, samples: 200)
    for c in 0..<n where deadGroups.contains(c / d) {
      for other in 0..<n { (gram[c, other], gram[other, c]) = (0, 0) }
    }
    h = gram.values
    memory = (.allocate(capacity: w.count), .allocate(capacity: h.count))
    _ = memory.0.initialize(from: w)
    _ = memory.1.initialize(from: h)
    let format = PackedFormat(groupSize: 8, codebookBits: [3, 2, 2], criticalRatio: criticalRatio)
    state = FitState(
      FitShape(rows: rows, channels: n, format: format), w: Buffer(borrowing: memory.0),
      h: Buffer(borrowing: memory.1), beamWidth: beamWidth, team: ThreadTeam(threads: 2))
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

  var groups: Int { n / d }

  /// What stands in H's place now.
  var gramInPlace: [Float] { Array(memory.1) }

  /// Every row's codes in a group, codebook by codebook.
  func codes(ofGroup g: Int) -> [UInt16] {
    state.books.filter { g < $0.groups }.flatMap { book in
      (0..<rows).map { state.codes.base[book.codeOffset + $0 * book.groups + g] }
    }
  }

  /// The sums of codewords that a group can have, [d] each.
  func choices(ofGroup g: Int) -> [[Double]] {
    var sums = [[Double](repeating: 0, count: d)]
    for book in state.books where g < book.groups {
      let codewords = (0..<book.count).map { k in
        (0..<d).map { Double(state.codebooks.base[book.offset + k * d + $0]) }
      }
      sums = sums.flatMap { sum in codewords.map { codeword in zip(sum, codeword).map { $0 + $1 } } }
    }
    return sums
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

  /// W - Ŵ.
  func residual(_ row: Int) -> [Double] {
    zip(weight(row), u(row)).map { $0 - Double(state.scales.base[row]) * $1 }
  }

  func error(_ row: Int) -> Double {
    let e = residual(row)
    return form(e, e)
  }
}
