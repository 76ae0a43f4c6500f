import CRVQ
import Numerics
import Testing

/// Where a fit puts each channel, beside the rules written out in double precision.
@Suite struct ChannelOrderTests {
  private typealias Setting = (weight: Matrix, gram: Matrix)

  private let team = ThreadTeam(threads: 2)
  private let rows = 24
  private let d = 4
  private let loud = [3, 11, 19, 27, 35]
  private let large = [4, 12, 20, 28, 36]

  /// Five channels are loud, five others have large weights.
  private func setting(columns: Int) -> Setting {
    var input = RandomInput(seed: 84)
    var (weight, gram) = (input.weight(rows, columns), Matrix.identity(columns))
    for channel in loud { gram[channel, channel] = 25 }
    for channel in large { for row in 0..<rows { weight[row, channel] *= 2 } }
    return (weight, gram)
  }

  /// Two groups of the channels are critical.
  private func order(_ setting: Setting, _ importance: FitOptions.Importance) throws -> [Int] {
    let options = FitOptions(
      groupSize: d, codebookBits: [1, 1], criticalRatio: 0.2, importance: importance, maximumRounds: 1)
    let packed = try fit(
      weight: setting.weight, gram: setting.gram, options: options, streamKey: "order", team: team
    ).packed
    #expect(packed.criticalGroups == 2)
    return packed.channelOrder.map { Int($0) }
  }

  /// The eight channels of the highest scores in their order, then all others as they are dealt out.
  private func expected(_ setting: Setting, scores: [Double]) -> [Int] {
    let channels = Array(0..<setting.weight.columns)
    let critical = Array(channels.sorted { scores[$0] > scores[$1] }.prefix(8))
    let energies = channels.map { channel in
      let squares = (0..<rows).map { Double(setting.weight[$0, channel]) * Double(setting.weight[$0, channel]) }
      return squares.reduce(0, +) * Double(setting.gram[channel, channel])
    }
    let rest = channels.filter { !critical.contains($0) }.sorted { energies[$0] > energies[$1] }
    // A group has one channel of each quarter, the first group the last of each; what makes no quarter is at the end.
    let groups = rest.count / d
    var dealt: [Int] = []
    for group in (0..<groups).reversed() { for quarter in 0..<d { dealt.append(rest[quarter * groups + group]) } }
    return critical + dealt + rest[(groups * d)...]
  }

  /// Where channels next to one another are much alike, a codeword can say something of all of them.
  @Test func neighboursThatAreAlikeStayTogether() throws {
    var input = RandomInput(seed: 85)
    let noise = input.weight(96, 64)
    var weight = noise
    for row in 0..<96 {
      for column in 1..<64 { weight[row, column] = 0.9 * weight[row, column - 1] + 0.44 * noise[row, column] }
    }
    let options = FitOptions(groupSize: 8, codebookBits: [6], criticalRatio: 0, maximumRounds: 1)
    func order(_ weight: Matrix) throws -> [Int] {
      try fit(weight: weight, gram: .identity(64), options: options, streamKey: "order", team: team).packed
        .channelOrder.map { Int($0) }
    }
    #expect(try order(weight) == Array(0..<64))
    let dealt = try order(noise)
    #expect(dealt != Array(0..<64) && dealt.sorted() == Array(0..<64))
  }

  @Test(arguments: [40, 42]) func theLargestWeightsAreCritical(columns: Int) throws {
    let setting = setting(columns: columns)
    let scores = (0..<columns).map { channel in
      (0..<rows).reduce(0.0) { $0 + abs(Double(setting.weight[$1, channel])) }
    }
    let order = try order(setting, .weight)
    #expect(Set(order.prefix(5)) == Set(large))
    #expect(order == expected(setting, scores: scores))
  }

  @Test func whatAPlainQuantizationLosesOfTheOutputIsCritical() throws {
    let setting = setting(columns: 40)
    let order = try order(setting, .activation)
    #expect(Set(order.prefix(5)) == Set(loud))
    #expect(order == expected(setting, scores: lostEnergies(setting)))
  }

  /// Sums over rows of (W-Ŵ)² · diag(H), with Ŵ by k-means of all rows over their root mean squares.
  private func lostEnergies(_ setting: Setting) -> [Double] {
    let (weight, columns) = (setting.weight, setting.weight.columns)
    let scales = (0..<rows).map { row in
      let energy = (0..<columns).reduce(0.0) { $0 + Double(weight[row, $1]) * Double(weight[row, $1]) }
      return Float((energy / Double(columns)).squareRoot())
    }
    let (points, weights) = (Buffer<Float>(rows * columns), Buffer<Float>(columns))
    for c in 0..<columns {
      // A fit divides H by the mean of its diagonal, which is 4.
      weights.base[c] = setting.gram[c, c] / 4
      for row in 0..<rows { points.base[(c / d * rows + row) * d + c % d] = weight[row, c] / scales[row] }
    }
    let means = KMeans(points: points, groups: columns / d, perGroup: rows, d: d, weights: weights, team: team)
    var stream = RandomStream(seed: 0, key: "order importance")
    let centers = means.codebook(count: 2, stream: &stream)
    let (codes, codewords) = (means.assign(to: centers, count: 2).array, centers.array)
    return (0..<columns).map { c in
      let lost = (0..<rows).map { row in
        let codeword = codewords[Int(codes[c / d * rows + row]) * d + c % d]
        return Double(weight[row, c]) - Double(scales[row]) * Double(codeword)
      }
      return lost.reduce(0.0) { $0 + $1 * $1 } * Double(setting.gram[c, c])
    }
  }
}
