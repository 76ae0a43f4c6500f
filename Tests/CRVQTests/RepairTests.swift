import CRVQ
import Numerics
import Testing

/// The repaired weight against what it is to achieve.
@Suite struct RepairTests {
  private let team = ThreadTeam(threads: 2)

  /// Rows of x [samples, columns] with some channels a hundred times louder, and y = x Vᵀ.
  private struct Setting {
    let samples = 600
    let rows = 70
    let columns = 24
    let x: [Float]
    let wanted: Matrix
    let weight: Matrix
    let gram: Matrix
    let loss: Matrix

    init(seed: UInt64) {
      var input = RandomInput(seed: seed)
      var x = input.normals(samples * columns)
      for s in 0..<samples { for c in stride(from: 0, to: columns, by: 7) { x[s * columns + c] *= 100 } }
      let (wanted, weight) = (input.weight(rows, columns), input.weight(rows, columns))
      var (gram, loss) = (Matrix(rows: columns, columns: columns), Matrix(rows: rows, columns: columns))
      for s in 0..<samples {
        let seen = x[s * columns..<(s + 1) * columns]
        for (i, a) in seen.enumerated() {
          for (j, b) in seen.enumerated() { gram[i, j] += a * b / Float(samples) }
        }
        for row in 0..<rows {
          let missing = seen.enumerated().reduce(Float(0)) { $0 + $1.1 * (wanted[row, $1.0] - weight[row, $1.0]) }
          for (j, b) in seen.enumerated() { loss[row, j] += missing * b / Float(samples) }
        }
      }
      (self.x, self.wanted, self.weight, self.gram, self.loss) = (x, wanted, weight, gram, loss)
    }
  }

  /// The mean square of what is missing from x Vᵀ, channel by channel of the input.
  private func error(_ weight: Matrix, _ setting: Setting) -> Double {
    relativeError(weight: setting.wanted, decoded: weight, gram: setting.gram, team: team)
  }

  @Test(arguments: [1, 2] as [UInt64]) func itComesCloseToTheWeightThatLacksNothing(seed: UInt64) {
    let setting = Setting(seed: seed)
    let repaired = repairedWeight(
      setting.weight, loss: setting.loss, gram: setting.gram, tokens: setting.samples, team: team)
    #expect(error(repaired, setting) < 1e-3 * error(setting.weight, setting))
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

  @Test func fewTokensChangeLittle() {
    let setting = Setting(seed: 3)
    let change = [1, 10, 100, 10_000].map { tokens in
      let repaired = repairedWeight(setting.weight, loss: setting.loss, gram: setting.gram, tokens: tokens, team: team)
      return relativeError(weight: setting.weight, decoded: repaired, gram: setting.gram, team: team)
    }
    #expect(change == change.sorted() && change[0] < 0.5 * change[3], "\(change)")
  }

  @Test func nothingLostChangesNothing() {
    let setting = Setting(seed: 4)
    let none = Matrix(rows: setting.rows, columns: setting.columns)
    #expect(repairedWeight(setting.weight, loss: none, gram: setting.gram, tokens: 600, team: team) == setting.weight)
  }

  @Test func deadChannelsAndIndefiniteGramsLeaveTheWeight() {
    let setting = Setting(seed: 5)
    var gram = setting.gram
    var loss = setting.loss
    for c in 0..<setting.columns { (gram[3, c], gram[c, 3]) = (0, 0) }
    for row in 0..<setting.rows { loss[row, 3] = 0 }
    let repaired = repairedWeight(setting.weight, loss: loss, gram: gram, tokens: 600, team: team)
    #expect((0..<setting.rows).allSatisfy { repaired[$0, 3] == setting.weight[$0, 3] })
    #expect(repaired.values.allSatisfy { $0.isFinite } && repaired != setting.weight)

    let indefinite = Matrix(rows: 2, columns: 2, values: [1, 3, 3, 1])
    let weight = Matrix(rows: 1, columns: 2, values: [1, 2])
    #expect(
      repairedWeight(weight, loss: weight, gram: indefinite, tokens: 100, team: team) == weight)
  }

  @Test func bytesDoNotDependOnThreads() {
    let setting = Setting(seed: 6)
    let results = [1, 3].map { threads in
      repairedWeight(
        setting.weight, loss: setting.loss, gram: setting.gram, tokens: 600, team: ThreadTeam(threads: threads)
      ).values.map(\.bitPattern)
    }
    #expect(results[0] == results[1])
  }
}
