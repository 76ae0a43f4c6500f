import Numerics
import Testing

/// The sweep kernel beside coordinate descent written out.
@Suite struct AnnealingKernelTests {
  /// A block of `groups` groups and `rows` rows, with everything that belongs to it.
  private struct Problem {
    let d: Int
    let groups: Int
    private(set) var rows: Int
    let count: Int
    var h: [Float]
    let codebook: [Float]
    private(set) var scale: [Float]
    var codes: [UInt16]
    var e: [Float]

    var width: Int { groups * d }

    init(d: Int, groups: Int, rows: Int, count: Int, seed: UInt64) {
      var input = RandomInput(seed: seed)
      (self.d, self.groups, self.rows, self.count) = (d, groups, rows, count)
      h = input.gram(groups * d, samples: 3 * groups * d).values
      codebook = input.normals(count * d)
      scale = input.normals(rows).map { 0.5 + $0.magnitude }
      codes = input.codes(rows * groups, below: count)
      let w = input.normals(rows * groups * d)
      e = w
      for row in 0..<rows {
        for c in 0..<groups * d {
          e[row * groups * d + c] -= scale[row] * codebook[Int(codes[row * groups + c / d]) * d + c % d]
        }
      }
    }

    /// The same for some of the rows.
    func part(_ range: Range<Int>) -> Problem {
      var part = self
      part.rows = range.count
      part.scale = Array(scale[range])
      part.codes = Array(codes[range.lowerBound * groups..<range.upperBound * groups])
      part.e = Array(e[range.lowerBound * width..<range.upperBound * width])
      return part
    }

    /// E·H.
    var y: [Float] {
      (0..<rows * width).map { i in
        (0..<width).reduce(Float(0)) { $0 + e[i / width * width + $1] * h[$1 * width + i % width] }
      }
    }

    func error(row: Int, _ e: [Float]) -> Double {
      var sum = 0.0
      for a in 0..<width {
        for b in 0..<width { sum += Double(e[row * width + a] * h[a * width + b] * e[row * width + b]) }
      }
      return sum
    }

    /// One sweep with plain loops: every codeword of every group is tried.
    mutating func sweepNaively() {
      for row in 0..<rows {
        for g in 0..<groups {
          let before = e
          var best = (error: Double.infinity, code: 0)
          for k in 0..<count {
            var trial = before
            for t in 0..<d {
              let old = codebook[Int(codes[row * groups + g]) * d + t]
              trial[row * width + g * d + t] += scale[row] * (old - codebook[k * d + t])
            }
            let error = error(row: row, trial)
            if error < best.error {
              best = (error, k)
              e = trial
            }
          }
          codes[row * groups + g] = UInt16(best.code)
        }
      }
    }

    /// The kernel's result: codes, e and y.
    func swept(sweeps: Int, noise: Float, firstRow: Int = 0) -> (codes: [UInt16], e: [Float], y: [Float]) {
      let stride = Codewords.stride(count)
      let table = Buffer<Float>(stride * d)
      Codewords.makeTable(codebook, count: count, d: d, into: table.base)
      var diagonal: [Float] = []
      for g in 0..<groups {
        for t in 0..<d { for c in 0..<d { diagonal.append(h[(g * d + t) * width + g * d + c]) } }
      }
      let norms = Buffer<Float>(groups * stride)
      for g in 0..<groups {
        Codewords.norms(
          table: table.base, count: count, stride: stride, d: d, metric: Array(diagonal[g * d * d..<(g + 1) * d * d]),
          into: norms.base + g * stride)
      }
      var (codes, e, y) = (codes, e, y)
      h.withUnsafeBufferPointer { h in
        diagonal.withUnsafeBufferPointer { diagonal in
          codebook.withUnsafeBufferPointer { codebook in
            guard let h = h.baseAddress, let diagonal = diagonal.baseAddress, let codebook = codebook.baseAddress
            else { return }
            let block = Annealing.Block(
              groups: groups, d: d, h: h, ldh: width, diagonal: diagonal, codebook: codebook, table: table.base,
              norms: norms.base, stride: stride)
            block.sweep(
              rows: rows, scale: scale, inverseScale: scale.map { 1 / $0 }, y: &y, ldy: width, e: &e, lde: width,
              codes: &codes, ldc: groups, sweeps: sweeps, noise: noise, key: 7, firstRow: firstRow, firstGroup: 3)
          }
        }
      }
      return (codes, e, y)
    }
  }

  @Test(arguments: [4, 8, 16], [1, 5, 21]) func sweepWithoutNoiseIsCoordinateDescent(d: Int, rows: Int) {
    var problem = Problem(d: d, groups: 4, rows: rows, count: 12, seed: UInt64(d + rows))
    let swept = problem.swept(sweeps: 1, noise: 0)
    let before = problem
    problem.sweepNaively()
    // Codewords that tie but for rounding may differ; errors may not.
    for row in 0..<rows {
      let (ours, naive) = (before.error(row: row, swept.e), before.error(row: row, problem.e))
      #expect(abs(ours - naive) <= 1e-3 * naive, "row \(row)")
    }
    let same = zip(swept.codes, problem.codes).count { $0 == $1 }
    #expect(Double(same) >= 0.97 * Double(problem.codes.count))
  }

  @Test(arguments: [4, 8, 16]) func residualsFollowTheCodes(d: Int) {
    let problem = Problem(d: d, groups: 5, rows: 18, count: 40, seed: 40 + UInt64(d))
    for noise in [Float(0), 0.3] {
      let swept = problem.swept(sweeps: 3, noise: noise)
      var after = problem
      after.codes = swept.codes
      after.e = swept.e
      for (ours, naive) in zip(swept.y, after.y) { #expect(abs(ours - naive) <= 1e-3 * (1 + abs(naive))) }
      for i in problem.e.indices {
        let (row, c) = (i / problem.width, i % problem.width)
        func codeword(_ codes: [UInt16]) -> Float {
          problem.codebook[Int(codes[row * problem.groups + c / d]) * d + c % d]
        }
        let expected = problem.e[i] + problem.scale[row] * (codeword(problem.codes) - codeword(swept.codes))
        #expect(abs(swept.e[i] - expected) <= 1e-4)
      }
    }
  }

  @Test func sweepsWithoutNoiseNeverRaiseARowsError() {
    let problem = Problem(d: 8, groups: 6, rows: 30, count: 100, seed: 50)
    var last = (0..<30).map { problem.error(row: $0, problem.e) }
    for sweeps in 1...4 {
      let e = problem.swept(sweeps: sweeps, noise: 0).e
      for row in 0..<30 {
        let error = problem.error(row: row, e)
        #expect(error <= last[row] * (1 + 1e-5))
        last[row] = error
      }
    }
  }

  @Test(arguments: [4, 8, 16]) func noiseIsOfItsPlaceAndStrength(d: Int) {
    let n = 4000
    var queries = [Float](repeating: 0, count: n * d)
    Annealing.addNoise(to: &queries, n: n, d: d, noise: 0.5, key: 9, firstRow: 100, group: 4)
    let mean = queries.reduce(0, +) / Float(queries.count)
    let variance = queries.reduce(0) { $0 + $1 * $1 } / Float(queries.count)
    #expect(abs(mean) < 0.02 && abs(variance.squareRoot() - 0.5) < 0.01)
    var part = [Float](repeating: 0, count: 10 * d)
    Annealing.addNoise(to: &part, n: 10, d: d, noise: 0.5, key: 9, firstRow: 150, group: 4)
    #expect(part == Array(queries[50 * d..<60 * d]))
    Annealing.addNoise(to: &part, n: 10, d: d, noise: -0.5, key: 10, firstRow: 150, group: 4)
    #expect(part.contains { $0 != 0 })
  }

  @Test(arguments: [4, 8, 16]) func noiseOfEachGroupAndHalfIsAnother(d: Int) {
    let n = 4000
    func noise(group: Int) -> [Float] {
      var queries = [Float](repeating: 0, count: n * d)
      Annealing.addNoise(to: &queries, n: n, d: d, noise: 1, key: 9, firstRow: 100, group: group)
      return queries
    }
    func correlation(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } / Float(a.count) }
    let here = noise(group: 4)
    for group in [0, 3, 5, 8] { #expect(abs(correlation(here, noise(group: group))) < 0.04, "group \(group)") }
    if d < 16 { return }
    func half(_ index: Int, of queries: [Float]) -> [Float] {
      (0..<n * 8).map { queries[$0 / 8 * 16 + index * 8 + $0 % 8] }
    }
    #expect(abs(correlation(half(0, of: here), half(1, of: here))) < 0.04)
    #expect(abs(correlation(half(1, of: here), half(0, of: noise(group: 5)))) < 0.04)
  }

  /// Where H is zero a query is noise and nothing else, and the codes tell which.
  @Test(arguments: [4, 8, 16]) func noiseOfEachSweepIsAnother(d: Int) {
    let (groups, rows, count) = (3, 10, 64)
    var problem = Problem(d: d, groups: groups, rows: rows, count: count, seed: 65 + UInt64(d))
    problem.h = [Float](repeating: 0, count: problem.h.count)
    let (once, twice) = (problem.swept(sweeps: 1, noise: 1).codes, problem.swept(sweeps: 2, noise: 1).codes)
    #expect(zip(once, twice).count { $0 == $1 } < groups * rows / 2)
    for g in 0..<groups {
      var noise = [Float](repeating: 0, count: rows * d)
      Annealing.addNoise(to: &noise, n: rows, d: d, noise: 1, key: 7, firstRow: 0, group: 3 + g)
      for row in 0..<rows {
        let overlaps = (0..<count).map { k in
          (0..<d).reduce(Float(0)) { $0 + noise[row * d + $1] * problem.codebook[k * d + $1] }
        }
        #expect(overlaps[Int(once[row * groups + g])] >= (overlaps.max() ?? 0) - 1e-4)
      }
    }
  }

  /// Noise is of a row's place in the whole: how rows are cut into pieces changes no bit, here not even inside a tile.
  @Test(arguments: [4, 8, 16]) func piecesOfTheRowsAreSweptAsTheWhole(d: Int) {
    let problem = Problem(d: d, groups: 5, rows: 30, count: 40, seed: 70 + UInt64(d))
    let whole = problem.swept(sweeps: 3, noise: 0.5)
    let top = problem.part(0..<13).swept(sweeps: 3, noise: 0.5)
    let bottom = problem.part(13..<30).swept(sweeps: 3, noise: 0.5, firstRow: 13)
    #expect(top.codes + bottom.codes == whole.codes)
    #expect((top.e + bottom.e).map(\.bitPattern) == whole.e.map(\.bitPattern))
    #expect((top.y + bottom.y).map(\.bitPattern) == whole.y.map(\.bitPattern))
    // The noise is loud enough for its place to show.
    #expect(problem.part(13..<30).swept(sweeps: 3, noise: 0.5).codes != bottom.codes)
  }

  @Test(arguments: [4, 8, 16]) func beamAsWideAsACodebookFindsTheBestPair(d: Int) {
    var input = RandomInput(seed: 60 + UInt64(d))
    let count = 16
    let books = (0..<2).map { _ in input.normals(count * d) }
    let metric = input.gram(d, samples: 50).values
    let queries = input.normals(9 * d)
    var tables: [Buffer<Float>] = []
    var norms: [Buffer<Float>] = []
    for book in books {
      let (table, norm) = (Buffer<Float>(count * d), Buffer<Float>(count))
      Codewords.makeTable(book, count: count, d: d, into: table.base)
      Codewords.norms(table: table.base, count: count, stride: count, d: d, metric: metric, into: norm.base)
      tables.append(table)
      norms.append(norm)
    }
    var codes = [UInt16](repeating: 99, count: 9 * 2)
    var costs = [Float](repeating: .nan, count: 9)
    books[0].withUnsafeBufferPointer { first in
      books[1].withUnsafeBufferPointer { second in
        guard let first = first.baseAddress, let second = second.baseAddress else { return }
        Beam.search(
          queries, n: 9, d: d, metric: metric,
          codebooks: [
            Beam.Codebook(first, table: tables[0].base, norms: norms[0].base, stride: count),
            Beam.Codebook(second, table: tables[1].base, norms: norms[1].base, stride: count),
          ], width: 16, codes: &codes, costs: &costs)
      }
    }
    for i in 0..<9 {
      func cost(_ k: Int, _ l: Int) -> Float {
        let q = (0..<d).map { books[0][k * d + $0] + books[1][l * d + $0] }
        var sum: Float = 0
        for t in 0..<d {
          sum -= 2 * q[t] * queries[i * d + t]
          for c in 0..<d { sum += q[t] * metric[t * d + c] * q[c] }
        }
        return sum
      }
      var best = Float.infinity
      for k in 0..<count { for l in 0..<count { best = min(best, cost(k, l)) } }
      #expect(abs(costs[i] - best) <= 1e-3 * (1 + abs(best)))
      #expect(abs(cost(Int(codes[2 * i]), Int(codes[2 * i + 1])) - best) <= 1e-3 * (1 + abs(best)))
    }
  }
}
