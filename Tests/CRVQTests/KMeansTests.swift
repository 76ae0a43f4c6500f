import CRVQ
import Numerics
import Testing

@Suite struct KMeansTests {
  /// Groups that make two pieces of work, with a weight for each of their coordinates, some of them zero.
  private struct Setting {
    let d: Int
    let groups = 11
    let perGroup = 30
    let points: [Float]
    let weights: [Float]
    let means: KMeans
    var stream: RandomStream

    init(seed: UInt64, d: Int) {
      var input = RandomInput(seed: seed)
      self.d = d
      points = input.normals(groups * perGroup * d)
      weights = input.normals(groups * d).enumerated().map { $0.offset % 7 == 3 ? 0 : $0.element.magnitude }
      let (p, w) = (Buffer<Float>(points.count), Buffer<Float>(weights.count))
      p.base.update(from: points, count: points.count)
      w.base.update(from: weights, count: weights.count)
      means = KMeans(
        points: p, groups: groups, perGroup: perGroup, d: d, weights: w, team: ThreadTeam(threads: 2))
      stream = input.stream
    }

    func distance(_ point: Int, _ center: Int, of centers: Buffer<Float>) -> Double {
      (0..<d).reduce(0) { sum, t in
        let difference = Double(points[point * d + t]) - Double(centers.base[center * d + t])
        return sum + Double(weights[point / perGroup * d + t]) * difference * difference
      }
    }

    func objective(_ centers: Buffer<Float>, count: Int) -> Double {
      let assignment = means.assign(to: centers, count: count)
      return (0..<assignment.count).reduce(0) { $0 + distance($1, Int(assignment.base[$1]), of: centers) }
    }
  }

  @Test(arguments: [4, 8, 16], [1, 2, 37]) func noIterationRaisesTheObjective(d: Int, count: Int) {
    var setting = Setting(seed: UInt64(100 * d + count), d: d)
    let centers = Buffer<Float>(count * d)
    centers.base.update(from: setting.points, count: count * d)
    var objectives = [setting.objective(centers, count: count)]
    for _ in 0..<8 {
      setting.means.improve(centers, count: count, &setting.stream)
      objectives.append(setting.objective(centers, count: count))
    }
    for (before, after) in zip(objectives, objectives.dropFirst()) { #expect(after <= before * (1 + 1e-5)) }
    #expect(objectives[8] < objectives[0], "\(objectives)")
  }

  /// Centers that are far from all points go to points, and have some from then on.
  @Test(arguments: [4, 8, 16]) func noCenterStaysWithoutPoints(d: Int) {
    var setting = Setting(seed: UInt64(300 + d), d: d)
    let centers = Buffer<Float>(4 * d, filledWith: 1000)
    centers.base.update(from: setting.points, count: d)
    #expect(setting.means.assign(to: centers, count: 4).array.allSatisfy { $0 == 0 })
    setting.means.improve(centers, count: 4, &setting.stream)
    for k in 1..<4 {
      let isPoint = (0..<setting.points.count / d).contains { point in
        (0..<d).allSatisfy { centers.base[k * d + $0] == setting.points[point * d + $0] }
      }
      #expect(isPoint, "center \(k)")
    }
    for _ in 0..<8 { setting.means.improve(centers, count: 4, &setting.stream) }
    #expect(Set(setting.means.assign(to: centers, count: 4).array) == [0, 1, 2, 3])
  }

  @Test(arguments: [4, 8, 16]) func pointsGoToTheirNearestCenters(d: Int) {
    var setting = Setting(seed: UInt64(d), d: d)
    let centers = setting.means.codebook(count: 20, stream: &setting.stream)
    let assignment = setting.means.assign(to: centers, count: 20)
    for point in 0..<assignment.count {
      let nearest = (0..<20).map { setting.distance(point, $0, of: centers) }.min() ?? 0
      #expect(setting.distance(point, Int(assignment.base[point]), of: centers) <= nearest + 1e-4)
    }
  }
}
