import Numerics
import TestSupport
import Testing

/// Each kernel beside the plain loop it stands for.
@Suite struct CodewordKernelTests {
  @Test(arguments: [4, 8, 16], [1, 2, 16, 37, 256, 4096])
  func nearestCodewordIsTheFirstOfTheBest(d: Int, count: Int) throws {
    var input = RandomInput(seed: TestRun.seed)
    for n in [1, 3, 4, 11] {
      let codebook = input.normals(count * d)
      let queries = input.normals(n * d)
      let stride = Codewords.stride(count)
      let table = Buffer<Float>(stride * d)
      Codewords.makeTable(codebook, count: count, d: d, into: table.base)
      let norms = Buffer<Float>(stride)
      let metric = (0..<d * d).map { Float($0 / d == $0 % d ? 1 : 0) }
      Codewords.norms(table: table.base, count: count, stride: stride, d: d, metric: metric, into: norms.base)
      let codes = Buffer<UInt16>(n)
      let scores = Buffer<Float>(n)
      Codewords.nearest(
        queries, n: n, d: d, table: table.base, norms: norms.base, stride: stride, codes: codes.base,
        scores: scores.base)
      for i in 0..<n {
        let naive = (0..<count).map { k in
          (0..<d).reduce(Float(0)) { sum, t in
            let c = codebook[k * d + t]
            return sum + c * c - 2 * queries[i * d + t] * c
          }
        }
        let best = naive.min() ?? 0
        try #require(Int(codes.base[i]) < count, "\(TestRun.seedSetting)")
        let tolerance = 1e-4 * (1 + abs(best))
        #expect(abs(naive[Int(codes.base[i])] - best) <= tolerance, "\(TestRun.seedSetting)")
        #expect(abs(scores.base[i] - best) <= tolerance, "\(TestRun.seedSetting)")
      }
    }
  }

  /// A codebook with two equal codewords that are best for a query of ones.
  private struct TwoEquals {
    let d = 8
    let count = 256
    let codebook: Buffer<Float>
    let table: Buffer<Float>
    let norms: Buffer<Float>
    let queries = [Float](repeating: 1, count: 5 * 8)

    init(_ first: Int, _ second: Int) {
      codebook = Buffer(count * d, filledWith: 0)
      table = Buffer(count * d)
      norms = Buffer(count, filledWith: 0)
      for k in [first, second] {
        (codebook.base + k * d).update(repeating: 0.5, count: d)
        norms.base[k] = 2
      }
      Codewords.makeTable(codebook.base, count: count, d: d, into: table.base)
    }
  }

  /// The search has sixteen lanes, each with every sixteenth codeword. Pairs of two lanes, the first in the higher or
  /// in the lower one, and of one lane.
  static let equals = [(5, 16), (17, 32), (3, 40), (15, 16), (31, 100), (4, 20)]

  @Test(arguments: equals) func ofEqualCodewordsTheFirstIsTaken(first: Int, second: Int) {
    let setting = TwoEquals(first, second)
    defer { withExtendedLifetime(setting) {} }
    var codes = [UInt16](repeating: 999, count: 5)
    var scores = [Float](repeating: .nan, count: 5)
    Codewords.nearest(
      setting.queries, n: 5, d: setting.d, table: setting.table.base, norms: setting.norms.base,
      stride: setting.count, codes: &codes, scores: &scores)
    #expect(codes == [UInt16](repeating: UInt16(first), count: 5))
    #expect(scores == [Float](repeating: 2 - 8, count: 5))
  }

  /// The best of each lane is a candidate, one lane after another; how many are kept decides nothing among equals.
  @Test(arguments: equals) func ofEqualCodewordsABeamKeepsThatOfTheFirstLane(first: Int, second: Int) {
    let setting = TwoEquals(first, second)
    defer { withExtendedLifetime(setting) {} }
    let metric = (0..<64).map { Float($0 / 8 == $0 % 8 ? 1 : 0) }
    let book = Beam.Codebook(
      setting.codebook.base, table: setting.table.base, norms: setting.norms.base, stride: setting.count)
    let expected = second % 16 < first % 16 ? second : first
    for width in [1, 2, 8] {
      var codes = [UInt16](repeating: 999, count: 5)
      var costs = [Float](repeating: .nan, count: 5)
      Beam.search(
        setting.queries, n: 5, d: setting.d, metric: metric, codebooks: [book], width: width, codes: &codes,
        costs: &costs)
      #expect(codes == [UInt16](repeating: UInt16(expected), count: 5), "width \(width)")
      #expect(costs == [Float](repeating: 2 - 8, count: 5), "width \(width)")
    }
  }

  @Test(arguments: [4, 8, 16]) func normsAreQuadraticFormsAndInfiniteInThePadding(d: Int) {
    var input = RandomInput(seed: TestRun.seed)
    let count = 21
    let codebook = input.normals(count * d)
    let root = input.normals(d * d)
    var metric = [Float](repeating: 0, count: d * d)
    for i in 0..<d {
      for j in 0..<d { metric[i * d + j] = (0..<d).reduce(0) { $0 + root[i * d + $1] * root[j * d + $1] } }
    }
    let stride = Codewords.stride(count)
    let table = Buffer<Float>(stride * d)
    Codewords.makeTable(codebook, count: count, d: d, into: table.base)
    let norms = Buffer<Float>(stride)
    Codewords.norms(table: table.base, count: count, stride: stride, d: d, metric: metric, into: norms.base)
    for k in 0..<count {
      var naive: Float = 0
      for i in 0..<d {
        for j in 0..<d { naive += codebook[k * d + i] * metric[i * d + j] * codebook[k * d + j] }
      }
      #expect(abs(norms.base[k] - naive) <= 1e-4 * naive + 1e-4, "\(TestRun.seedSetting)")
    }
    #expect(norms.array[count...].allSatisfy { $0 == .infinity })
  }

  @Test(arguments: [4, 8, 16]) func rankUpdateAddsAndSkipsUnchangedRows(d: Int) {
    var input = RandomInput(seed: TestRun.seed)
    for columns in [1, 15, 16, 50] {
      let n = 5
      let (ldh, ldy) = (columns + 3, columns + 1)
      var delta = input.normals(n * d)
      for t in 0..<d { delta[2 * d + t] = 0 }
      let h = input.normals(d * ldh)
      let before = input.normals(n * ldy)
      var after = before
      Codewords.rankUpdate(delta: delta, n: n, d: d, h: h, ldh: ldh, y: &after, ldy: ldy, columns: columns)
      for i in 0..<n {
        for c in 0..<ldy {
          let sum = c < columns ? (0..<d).reduce(Float(0)) { $0 + delta[i * d + $1] * h[$1 * ldh + c] } : 0
          #expect(abs(after[i * ldy + c] - before[i * ldy + c] - sum) <= 1e-4, "\(TestRun.seedSetting)")
        }
      }
      #expect(after[2 * ldy..<3 * ldy] == before[2 * ldy..<3 * ldy], "\(TestRun.seedSetting)")
    }
  }

  @Test(arguments: [4, 8, 16]) func queriesAreTwoSmallProducts(d: Int) {
    var input = RandomInput(seed: TestRun.seed)
    let n = 6
    let (x, u) = (input.normals(n * (d + 2)), input.normals(n * (d + 1)))
    let (a, b) = (input.normals(d * d), input.normals(d * d))
    let inverse = input.normals(n)
    for (hasB, hasU) in [(true, true), (true, false), (false, true)] {
      var out = [Float](repeating: .nan, count: n * d)
      b.withUnsafeBufferPointer { b in
        u.withUnsafeBufferPointer { u in
          a.withUnsafeBufferPointer { a in
            Codewords.queries(
              x: x, ldx: d + 2, inverseScale: inverse, b: hasB ? b.baseAddress : nil, u: hasU ? u.baseAddress : nil,
              ldu: d + 1, a: a.baseAddress, n: n, d: d, into: &out)
          }
        }
      }
      for i in 0..<n {
        for c in 0..<d {
          var naive: Float = hasB ? 0 : inverse[i] * x[i * (d + 2) + c]
          for t in 0..<d {
            if hasB { naive += inverse[i] * x[i * (d + 2) + t] * b[t * d + c] }
            if hasU { naive += u[i * (d + 1) + t] * a[t * d + c] }
          }
          #expect(abs(out[i * d + c] - naive) <= 1e-4, "\(TestRun.seedSetting)")
        }
      }
    }
  }

  @Test(arguments: [4, 8, 16]) func gatherAndScatterAreTransposes(d: Int) {
    var input = RandomInput(seed: TestRun.seed)
    let (groups, count) = (9, 5)
    let codes = input.codes(groups, below: count)
    let codebook = input.normals(count * d)
    var row = [Float](repeating: 1, count: groups * d)
    Codewords.gather(codes, groups: groups, codebook: codebook, d: d, accumulate: true, into: &row)
    for i in row.indices { #expect(row[i] == 1 + codebook[Int(codes[i / d]) * d + i % d], "\(TestRun.seedSetting)") }
    Codewords.gather(codes, groups: groups, codebook: codebook, d: d, accumulate: false, into: &row)
    for i in row.indices { #expect(row[i] == codebook[Int(codes[i / d]) * d + i % d], "\(TestRun.seedSetting)") }

    let r = input.normals(groups * d)
    var sums = [Float](repeating: 0, count: count * d)
    Codewords.scatter(codes, groups: groups, r, d: d, factor: 0.5, into: &sums)
    for k in 0..<count {
      let places = (0..<groups).filter { Int(codes[$0]) == k }
      for t in 0..<d {
        let sum = places.reduce(Float(0)) { $0 + 0.5 * r[$1 * d + t] }
        #expect(abs(sums[k * d + t] - sum) <= 1e-5, "\(TestRun.seedSetting)")
      }
    }
  }
}
