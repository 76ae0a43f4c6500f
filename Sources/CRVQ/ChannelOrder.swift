import Numerics

/// The order in which a fit lays out its channels: the critical ones first.
struct ChannelOrder {
  /// Position → original channel.
  let channels: [Int]

  /// Chooses the critical channels by `options.importance`.
  init(_ problem: Problem, options: FitOptions, streamKey: String, team: ThreadTeam) {
    let columns = problem.columns
    let rows = ScaledRows(problem, d: options.format.groupSize, team: team)
    func grouped(_ channels: [Int]) -> [Int] {
      var stream = RandomStream(seed: options.seed, key: "\(streamKey) grouping")
      return Self.group(channels, of: rows, bits: options.format.codebookBits[0], &stream)
    }
    let count = options.format.criticalGroups(columns: columns) * options.format.groupSize
    guard count > 0 else {
      channels = grouped(Array(0..<columns))
      return
    }
    let scores: [Float]
    switch options.importance {
    case .random:
      var stream = RandomStream(seed: options.seed, key: "\(streamKey) importance")
      scores = (0..<columns).map { _ in stream.uniform() }
    case .weight: scores = Self.meanMagnitudes(problem.weight)
    case .activation:
      var stream = RandomStream(seed: options.seed, key: "\(streamKey) importance")
      scores = Self.lostEnergies(of: rows, codewords: 1 << options.format.codebookBits[0], &stream)
    }
    // Equal scores go by channel, so that the order is the same everywhere.
    let ranked = (0..<columns).sorted { (scores[$0], $1) > (scores[$1], $0) }
    let critical = ranked.prefix(count)
    var isCritical = [Bool](repeating: false, count: columns)
    for channel in critical { isCritical[channel] = true }
    channels = critical + grouped((0..<columns).filter { !isCritical[$0] })
  }

  /// Channels dealt by energy, or as they come where neighbours are so much alike that groups of them lose less.
  private static func group(
    _ channels: [Int], of rows: ScaledRows, bits: Int, _ stream: inout RandomStream
  ) -> [Int] {
    let dealt = deal(channels, rows.problem, d: rows.d)
    let groups = channels.count / rows.d
    let count = min(compared, 1 << bits, groups * rows.problem.rows / pointsPerCodeword)
    if groups < 2 || count < 1 { return dealt }
    let sample = rows.sample(count: count, groups: groups, &stream)
    func lost(_ channels: [Int]) -> Double {
      // The same draws for both.
      var stream = stream
      let means = rows.means(of: sample, channels: channels)
      return means.distortion(of: means.codebook(count: count, stream: &stream), count: count)
    }
    return lost(channels) < clearly * lost(dealt) ? channels : dealt
  }

  /// Codewords at most by which two ways to group are compared: enough to see what neighbours have in common, and few enough to take no
  /// time.
  private static let compared = 64
  /// With fewer points chance decides.
  private static let pointsPerCodeword = 8
  /// What one must lose, as a share of the other, to be better for more reasons than chance.
  private static let clearly = 0.95

  /// Deals channels out to groups so that position t of every group holds channels of the same rank: the n-th eighth (for
  /// d = 8) of the channels by energy w² · diag(H). One codebook serves all groups, so only where positions are alike can its
  /// codewords spend their bits on the coordinates that matter. Groups go from low energy to high: a fit chooses the codes
  /// of the last group first, with all others still free to make up for it. What a width that is no multiple of d leaves over
  /// are the channels of lowest energy, in a group of their own at the end.
  private static func deal(_ channels: [Int], _ problem: Problem, d: Int) -> [Int] {
    var energies = [Float](repeating: 0, count: problem.columns)
    for row in 0..<problem.rows {
      for column in 0..<problem.columns {
        energies[column] += problem.weight[row, column] * problem.weight[row, column]
      }
    }
    for column in 0..<problem.columns { energies[column] *= problem.gram[column, column] * problem.gramFactor }
    let ranked = channels.sorted { (energies[$0], $1) > (energies[$1], $0) }
    let groups = channels.count / d
    let dealt = (0..<groups * d).map { ranked[$0 % d * groups + groups - 1 - $0 / d] }
    return dealt + ranked[(groups * d)...]
  }

  /// Mean over rows of |W|.
  private static func meanMagnitudes(_ weight: Matrix) -> [Float] {
    var sums = [Float](repeating: 0, count: weight.columns)
    for row in 0..<weight.rows {
      for column in 0..<weight.columns { sums[column] += weight[row, column].magnitude }
    }
    return sums.map { $0 / Float(weight.rows) }
  }

  /// Mean over rows of (W-Ŵ)² · diag(H), with Ŵ the plain vector quantization of W.
  private static func lostEnergies(
    of rows: ScaledRows, codewords count: Int, _ stream: inout RandomStream
  ) -> [Float] {
    let (problem, d) = (rows.problem, rows.d)
    let columns = problem.columns
    let groups = (columns + d - 1) / d
    let channels = Array(0..<columns)
    let sample = rows.sample(count: count, groups: groups, &stream)
    let centers = rows.means(of: sample, channels: channels).codebook(count: count, stream: &stream)
    // A channel may matter to few rows only, so that its score needs all of them; some at a time, to bound memory.
    var scores = [Float](repeating: 0, count: columns)
    for first in stride(from: 0, to: problem.rows, by: scoredRows) {
      let chosen = Array(first..<min(problem.rows, first + scoredRows))
      let means = rows.means(of: chosen, channels: channels)
      let assignment = means.assign(to: centers, count: count)
      for g in 0..<groups {
        for (i, row) in chosen.enumerated() {
          let point = g * chosen.count + i
          let center = centers.base + Int(assignment.base[point]) * d
          for t in 0..<min(d, columns - g * d) {
            let lost = rows.scales[row] * (means.points.base[point * d + t] - center[t])
            scores[g * d + t] += lost * lost * means.weights.base[g * d + t]
          }
        }
      }
    }
    return scores.map { $0 / Float(problem.rows) }
  }

  /// Rows whose lost energies are found together.
  private static let scoredRows = 512
}
