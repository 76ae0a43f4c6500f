import CRVQ
import Numerics
import TestSupport
import Testing

/// The repaired weight against what it is to achieve.
@Suite struct RepairTests {
  private let team = ThreadTeam(threads: 2)

  /// Samples of x [columns] with some channels a hundred times louder, y = x Vᵀ + noise, and sums over them while the weight is
  /// another than V.
  private struct Setting {
    let rows = 70
    let columns = 24
    let wanted: Matrix
    let weight: Matrix
    /// Over all samples, over every fourth, and over as many that were in neither.
    let (whole, part, fresh): (RepairSums, RepairSums, RepairSums)

    init(seed: UInt64, samples: Int = 600, noise: Float = 0) {
      var input = RandomInput(seed: seed)
      let (wanted, weight) = (input.weight(rows, columns), input.weight(rows, columns))
      var drawn: [(x: [Float], missing: [Float])] = []
      for _ in 0..<2 * samples {
        let x = input.normals(columns).enumerated().map { $0.offset % 7 == 0 ? 100 * $0.element : $0.element }
        let noises = input.normals(rows)
        let missing = (0..<rows).map { row in
          x.indices.reduce(noise * noises[row]) { $0 + x[$1] * (wanted[row, $1] - weight[row, $1]) }
        }
        drawn.append((x, missing))
      }
      func sums(_ samples: [(x: [Float], missing: [Float])]) -> RepairSums {
        var (gram, loss) = (Matrix(rows: 24, columns: 24), Matrix(rows: 70, columns: 24))
        for (x, missing) in samples {
          for (j, b) in x.enumerated() {
            for (i, a) in x.enumerated() { gram[i, j] += a * b / Float(samples.count) }
            for (row, m) in missing.enumerated() { loss[row, j] += m * b / Float(samples.count) }
          }
        }
        return RepairSums(gram: gram, loss: loss, tokens: samples.count)
      }
      let seen = Array(drawn.prefix(samples))
      (self.wanted, self.weight) = (wanted, weight)
      whole = sums(seen)
      part = sums(seen.enumerated().filter { $0.offset % 4 == 3 }.map(\.element))
      fresh = sums(Array(drawn.suffix(samples)))
    }

    func repaired(judged: Bool, threads: Int = 2) -> Matrix {
      repairedWeight(weight, from: whole, judgedOn: judged ? part : nil, team: ThreadTeam(threads: threads))
    }
  }

  /// By how much the output's squared error on unseen samples is below that of the original weight.
  private func gain(_ repaired: Matrix, _ setting: Setting) -> Double {
    let (gram, loss) = (setting.fresh.gram, setting.fresh.loss)
    var gain = 0.0
    for row in 0..<setting.rows {
      let change = (0..<setting.columns).map { Double(repaired[row, $0] - setting.weight[row, $0]) }
      for i in 0..<setting.columns {
        let bent = (0..<setting.columns).reduce(0.0) { $0 + change[$1] * Double(gram[$1, i]) }
        gain += change[i] * (2 * Double(loss[row, i]) - bent)
      }
    }
    return gain
  }

  @Test(arguments: [1, 2] as [UInt64], [true, false])
  func itComesCloseToTheWeightThatLacksNothing(seed: UInt64, judged: Bool) {
    let setting = Setting(seed: seed)
    let repaired = setting.repaired(judged: judged)
    func error(_ weight: Matrix) -> Double {
      relativeError(weight: setting.wanted, decoded: weight, gram: setting.whole.gram, team: team)
    }
    // A ridge of 0.01 leaves its square; without samples to judge by it is 0.43 here.
    #expect(error(repaired) < (judged ? 1e-3 : 0.2) * error(setting.weight))
    if !judged { return }
    // In quiet channels too: each has a ridge by its own loudness.
    func distance(_ weight: Matrix) -> Float {
      (0..<setting.rows).reduce(0) { sum, row in
        (0..<setting.columns).filter { $0 % 7 != 0 }.reduce(sum) {
          let difference = weight[row, $1] - setting.wanted[row, $1]
          return $0 + difference * difference
        }
      }
    }
    #expect(distance(repaired) < 0.02 * distance(setting.weight))
  }

  @Test(arguments: [3, 4, 5] as [UInt64]) func noiseIsNotFitted(seed: UInt64) {
    // Ten samples an unknown, and noise as loud as what can be repaired.
    let noisy = Setting(seed: seed, samples: 240, noise: 100)
    let judged = gain(noisy.repaired(judged: true), noisy)
    #expect(judged > 0, "a repair that does harm: \(judged)")
    let clean = Setting(seed: seed, samples: 240)
    let plain = gain(clean.repaired(judged: true), clean)
    #expect(plain > 0.9 * gain(clean.wanted, clean), "without noise nearly all is repaired")
  }

  @Test func whatServesNoUnseenTokenIsLeft() {
    let (setting, other) = (Setting(seed: 6), Setting(seed: 7))
    let opposite = RepairSums(
      gram: setting.part.gram,
      loss: Matrix(rows: 70, columns: 24, values: setting.part.loss.values.map { -10 * $0 }),
      tokens: setting.part.tokens)
    #expect(
      repairedWeight(other.weight, from: setting.whole, judgedOn: opposite, team: team) == other.weight)
  }

  @Test func fewTokensChangeLittle() {
    let setting = Setting(seed: 3)
    let change = [1, 10, 100, 10_000].map { tokens in
      let sums = RepairSums(gram: setting.whole.gram, loss: setting.whole.loss, tokens: tokens)
      let repaired = repairedWeight(setting.weight, from: sums, judgedOn: nil, team: team)
      return relativeError(weight: setting.weight, decoded: repaired, gram: setting.whole.gram, team: team)
    }
    #expect(change == change.sorted() && change[0] < 0.5 * change[3], "\(change)")
  }

  @Test(arguments: [true, false]) func nothingLostChangesNothing(judged: Bool) {
    let setting = Setting(seed: TestRun.seed)
    func none(_ sums: RepairSums) -> RepairSums {
      RepairSums(gram: sums.gram, loss: Matrix(rows: 70, columns: 24), tokens: sums.tokens)
    }
    let repaired = repairedWeight(
      setting.weight, from: none(setting.whole), judgedOn: judged ? none(setting.part) : nil, team: team)
    #expect(repaired == setting.weight, "\(TestRun.seedSetting)")
  }

  @Test func deadChannelsAndIndefiniteGramsLeaveTheWeight() {
    let setting = Setting(seed: 5)
    var (gram, loss) = (setting.whole.gram, setting.whole.loss)
    for c in 0..<setting.columns { (gram[3, c], gram[c, 3]) = (0, 0) }
    for row in 0..<setting.rows { loss[row, 3] = 0 }
    let repaired = repairedWeight(
      setting.weight, from: RepairSums(gram: gram, loss: loss, tokens: 600), judgedOn: nil, team: team)
    #expect((0..<setting.rows).allSatisfy { repaired[$0, 3] == setting.weight[$0, 3] })
    #expect(repaired.values.allSatisfy { $0.isFinite } && repaired != setting.weight)

    let indefinite = RepairSums(
      gram: Matrix(rows: 2, columns: 2, values: [1, 30, 30, 1]), loss: Matrix(rows: 1, columns: 2, values: [1, 2]),
      tokens: 100)
    let weight = Matrix(rows: 1, columns: 2, values: [1, 2])
    #expect(repairedWeight(weight, from: indefinite, judgedOn: nil, team: team) == weight)
  }

  /// The sums of inputs whose channel 3 is so many times as loud.
  private func sums(_ sums: RepairSums, loudness: Float) -> RepairSums {
    var (gram, loss) = (sums.gram, sums.loss)
    for c in 0..<gram.columns {
      gram[3, c] *= loudness
      gram[c, 3] *= loudness
    }
    for row in 0..<loss.rows { loss[row, 3] *= loudness }
    return RepairSums(gram: gram, loss: loss, tokens: sums.tokens)
  }

  @Test(arguments: [true, false]) func aChannelThatIsAsGoodAsDeadKeepsItsWeight(judged: Bool) {
    let setting = Setting(seed: 8)
    func repaired(_ loudness: Float) -> Matrix {
      repairedWeight(
        setting.weight, from: sums(setting.whole, loudness: loudness),
        judgedOn: judged ? sums(setting.part, loudness: loudness) : nil, team: team)
    }
    // The mean energy is that of the loud channels, some 10³. These have 1e-9 and 1e-13 of it.
    let (plain, quiet, dead) = (repaired(1), repaired(1e-3), repaired(1e-5))
    for row in 0..<setting.rows {
      let (old, change) = (setting.weight[row, 3], plain[row, 3] - setting.weight[row, 3])
      #expect(abs((quiet[row, 3] - old) / 1000 - change) < 1e-3)
      #expect(dead[row, 3] == old)
    }
    #expect(dead != setting.weight)
  }

  @Test func aWeightTooLargeForAFitIsNotTaken() {
    let weight = Matrix(rows: 1, columns: 2, values: [1, 2])
    func repaired(loss: Float) -> Matrix {
      let sums = RepairSums(
        gram: .identity(2), loss: Matrix(rows: 1, columns: 2, values: [loss, 0]), tokens: 100)
      return repairedWeight(weight, from: sums, judgedOn: nil, team: team)
    }
    #expect(repaired(loss: 1e4) != weight && repaired(loss: 1e6) == weight)
  }

  @Test(arguments: [true, false]) func bytesDoNotDependOnThreads(judged: Bool) {
    let setting = Setting(seed: TestRun.seed)
    let results = [1, 3].map { setting.repaired(judged: judged, threads: $0).values.map(\.bitPattern) }
    #expect(results[0] == results[1], "\(TestRun.seedSetting)")
  }
}
