import Numerics

/// Rows of W, each divided by its root mean square, as points for k-means: what codewords are to stand for, before a fit.
struct ScaledRows {
  let problem: Problem
  /// Channels a group.
  let d: Int
  let team: ThreadTeam
  /// Root mean squares of the rows.
  let scales: [Float]

  init(_ problem: Problem, d: Int, team: ThreadTeam) {
    self.problem = problem
    self.d = d
    self.team = team
    let weight = problem.weight
    scales = (0..<weight.rows).map { row in
      var sum: Double = 0
      for column in 0..<weight.columns { sum += Double(weight[row, column]) * Double(weight[row, column]) }
      return Float((sum / Double(weight.columns)).squareRoot())
    }
  }

  /// The points of some rows: d channels at a time in the order given, zeros where the last group is not full. A channel counts
  /// by diag(H).
  func means(of rows: [Int], channels: [Int]) -> KMeans {
    let columns = problem.columns
    let groups = (channels.count + d - 1) / d
    let weights = Buffer<Float>(groups * d, filledWith: 0)
    for (position, channel) in channels.enumerated() {
      weights.base[position] = max(0, problem.gram[channel, channel] * problem.gramFactor)
    }
    let points = Buffer<Float>(groups * d * rows.count, filledWith: 0)
    team.forEachRange(rows.count, grain: 16) { range in
      for i in range where scales[rows[i]] > 0 {
        let row = rows[i]
        for (position, channel) in channels.enumerated() {
          points.base[(position / d * rows.count + i) * d + position % d] =
            problem.weight.values[row * columns + channel] / scales[row]
        }
      }
    }
    return KMeans(points: points, groups: groups, perGroup: rows.count, d: d, weights: weights, team: team)
  }

  /// Rows enough for a codebook of `count` codewords over so many groups.
  func sample(count: Int, groups: Int, _ stream: inout RandomStream) -> [Int] {
    stream.sample(max(8, count * KMeans.pointsPerCodeword / max(1, groups)), of: problem.rows)
  }
}
