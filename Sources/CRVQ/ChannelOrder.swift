import Numerics

/// The order in which a fit lays out its channels: the critical ones first.
struct ChannelOrder {
  /// Position → original channel.
  let channels: [Int]

  /// Chooses the critical channels by `options.importance`.
  init(_ problem: Problem, options: FitOptions, streamKey: String, team: ThreadTeam) {
    let columns = problem.columns
    let count = options.format.criticalGroups(columns: columns) * options.format.groupSize
    guard count > 0 else {
      channels = Self.deal(Array(0..<columns), problem, d: options.format.groupSize)
      return
    }
    let scores: [Float]
    switch options.importance {
    case .random:
      var stream = RandomStream(seed: options.seed, key: "\(streamKey) importance")
      scores = (0..<columns).map { _ in stream.uniform() }
    case .weight: scores = Self.meanMagnitudes(problem.weight)
    case .activation: scores = Self.lostEnergies(problem, options: options, streamKey: streamKey, team: team)
    }
    // Equal scores go by channel, so that the order is the same everywhere.
    let ranked = (0..<columns).sorted { (scores[$0], $1) > (scores[$1], $0) }
    let critical = ranked.prefix(count)
    var isCritical = [Bool](repeating: false, count: columns)
    for channel in critical { isCritical[channel] = true }
    channels = critical + Self.deal((0..<columns).filter { !isCritical[$0] }, problem, d: options.format.groupSize)
  }

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
    _ problem: Problem, options: FitOptions, streamKey: String, team: ThreadTeam
  ) -> [Float] {
    let d = options.format.groupSize
    let groups = options.format.groups(columns: problem.columns)
    let columns = problem.columns
    let weights = Buffer<Float>(groups * d, filledWith: 0)
    for c in 0..<columns { weights.base[c] = max(0, problem.gram[c, c] * problem.gramFactor) }
    var stream = RandomStream(seed: options.seed, key: "\(streamKey) importance")
    let count = 1 << options.format.codebookBits[0]
    let scales = rowScales(problem.weight)
    func means(of chosen: [Int]) -> KMeans {
      let points = Buffer<Float>(groups * d * chosen.count, filledWith: 0)
      team.forEachRange(chosen.count, grain: 16) { range in
        for i in range where scales[chosen[i]] > 0 {
          let row = chosen[i]
          for c in 0..<columns {
            points.base[(c / d * chosen.count + i) * d + c % d] = problem.weight.values[row * columns + c] / scales[row]
          }
        }
      }
      return KMeans(points: points, groups: groups, perGroup: chosen.count, d: d, weights: weights, team: team)
    }
    let sample = stream.sample(max(8, count * KMeans.pointsPerCodeword / groups), of: problem.rows)
    let centers = means(of: sample).codebook(count: count, stream: &stream)
    // A channel may matter to few rows only, so that its score needs all of them; some at a time, to bound memory.
    var scores = [Float](repeating: 0, count: columns)
    for first in stride(from: 0, to: problem.rows, by: scoredRows) {
      let chosen = Array(first..<min(problem.rows, first + scoredRows))
      let means = means(of: chosen)
      let assignment = means.assign(to: centers, count: count)
      for g in 0..<groups {
        for (i, row) in chosen.enumerated() {
          let point = g * chosen.count + i
          let center = centers.base + Int(assignment.base[point]) * d
          for t in 0..<min(d, columns - g * d) {
            let lost = scales[row] * (means.points.base[point * d + t] - center[t])
            scores[g * d + t] += lost * lost * weights.base[g * d + t]
          }
        }
      }
    }
    return scores.map { $0 / Float(problem.rows) }
  }

  /// Rows whose lost energies are found together.
  private static let scoredRows = 512

  /// Root mean squares of the rows.
  private static func rowScales(_ weight: Matrix) -> [Float] {
    (0..<weight.rows).map { row in
      var sum: Double = 0
      for column in 0..<weight.columns { sum += Double(weight[row, column]) * Double(weight[row, column]) }
      return Float((sum / Double(weight.columns)).squareRoot())
    }
  }
}
