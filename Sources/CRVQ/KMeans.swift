import Numerics

/// k-means of points that are sorted by group, where all points of a group share a weight for each coordinate.
package struct KMeans {
  /// [groups, perGroup, d].
  let points: Buffer<Float>
  let groups: Int
  let perGroup: Int
  let d: Int
  /// [groups, d], not negative.
  let weights: Buffer<Float>
  let team: ThreadTeam

  /// Points a codeword is fitted to at least, where there are as many.
  static let pointsPerCodeword = 128
  private static let iterations = 10
  private static let groupsOfPiece = 8

  package init(
    points: Buffer<Float>, groups: Int, perGroup: Int, d: Int, weights: Buffer<Float>, team: ThreadTeam
  ) {
    self.points = points
    self.groups = groups
    self.perGroup = perGroup
    self.d = d
    self.weights = weights
    self.team = team
  }

  /// `count` codewords, [count, d], which start at points drawn with replacement; some are drawn twice.
  package func codebook(count: Int, stream: inout RandomStream) -> Buffer<Float> {
    let centers = Buffer<Float>(count * d)
    for k in 0..<count { drawPoint(into: centers.base + k * d, &stream) }
    for _ in 0..<Self.iterations { improve(centers, count: count, &stream) }
    return centers
  }

  private func drawPoint(into center: UnsafeMutablePointer<Float>, _ stream: inout RandomStream) {
    center.update(from: points.base + stream.index(below: groups * perGroup) * d, count: d)
  }

  /// Assigns every point to its nearest center and moves the centers to their points' weighted means; a center without
  /// points goes to a random one.
  package func improve(_ centers: Buffer<Float>, count: Int, _ stream: inout RandomStream) {
    let size = count * d
    let pieces = (groups + Self.groupsOfPiece - 1) / Self.groupsOfPiece
    let sums = Buffer<Float>(pieces * size, filledWith: 0)
    let masses = Buffer<Float>(pieces * size, filledWith: 0)
    let assignment = assign(to: centers, count: count)
    team.forEachRange(groups, grain: Self.groupsOfPiece) { range in
      let at = range.lowerBound / Self.groupsOfPiece * size
      for g in range {
        for i in g * perGroup..<(g + 1) * perGroup {
          let target = at + Int(assignment.base[i]) * d
          for t in 0..<d {
            let weight = weights.base[g * d + t]
            sums.base[target + t] += weight * points.base[i * d + t]
            masses.base[target + t] += weight
          }
        }
      }
    }
    for piece in 1..<max(1, pieces) {
      for i in 0..<size {
        sums.base[i] += sums.base[piece * size + i]
        masses.base[i] += masses.base[piece * size + i]
      }
    }
    for k in 0..<count {
      let isEmpty = (0..<d).allSatisfy { masses.base[k * d + $0] == 0 }
      if isEmpty {
        drawPoint(into: centers.base + k * d, &stream)
      } else {
        for t in 0..<d where masses.base[k * d + t] > 0 {
          centers.base[k * d + t] = sums.base[k * d + t] / masses.base[k * d + t]
        }
      }
    }
  }

  /// The nearest center of every point.
  package func assign(to centers: Buffer<Float>, count: Int) -> Buffer<UInt16> {
    let stride = Codewords.stride(count)
    let table = Buffer<Float>(stride * d)
    Codewords.makeTable(centers.base, count: count, d: d, into: table.base)
    let assignment = Buffer<UInt16>(groups * perGroup)
    team.forEachRange(groups, grain: Self.groupsOfPiece) { range in
      let norms = Buffer<Float>(stride)
      let metric = Buffer<Float>(d * d, filledWith: 0)
      let queries = Buffer<Float>(perGroup * d)
      let scores = Buffer<Float>(perGroup)
      for g in range {
        for t in 0..<d { metric.base[t * d + t] = weights.base[g * d + t] }
        Codewords.norms(table: table.base, count: count, stride: stride, d: d, metric: metric.base, into: norms.base)
        for i in 0..<perGroup {
          for t in 0..<d {
            queries.base[i * d + t] = points.base[(g * perGroup + i) * d + t] * weights.base[g * d + t]
          }
        }
        Codewords.nearest(
          queries.base, n: perGroup, d: d, table: table.base, norms: norms.base, stride: stride,
          codes: assignment.base + g * perGroup, scores: scores.base)
      }
    }
    return assignment
  }

  /// What the points lose to their nearest centers: the sum of squared distances, each coordinate by its weight.
  package func distortion(of centers: Buffer<Float>, count: Int) -> Double {
    let assignment = assign(to: centers, count: count)
    var sum = 0.0
    for g in 0..<groups {
      for point in g * perGroup..<(g + 1) * perGroup {
        let center = centers.base + Int(assignment.base[point]) * d
        for t in 0..<d {
          let lost = points.base[point * d + t] - center[t]
          sum += Double(lost * lost * weights.base[g * d + t])
        }
      }
    }
    return sum
  }
}
