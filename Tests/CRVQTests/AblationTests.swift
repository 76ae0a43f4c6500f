import CRVQ
import Numerics
import Testing

/// The paper's ablations on a problem where they must come out.
@Suite struct AblationTests {
  private let team = ThreadTeam(threads: 2)
  private let weight: Matrix
  private let gram: Matrix

  init() {
    var input = RandomInput(seed: 90)
    let (rows, columns) = (160, 256)
    var weight = input.weight(rows, columns)
    var gram = Matrix(rows: columns, columns: columns)
    for c in 0..<columns {
      // Some channels have both large weights and loud inputs, some only loud inputs, some only large weights.
      let (isBoth, isLoud, isLarge) = (c % 32 == 5, c % 16 == 0, c % 16 == 8)
      for row in 0..<rows where isBoth || isLarge { weight[row, c] *= 2 }
      gram[c, c] = isBoth ? 20 : isLoud ? 30 : isLarge ? 0.3 : 1
    }
    let direction = input.normals(columns)
    for i in 0..<columns { for j in 0..<columns { gram[i, j] += 0.3 * direction[i] * direction[j] } }
    (self.weight, self.gram) = (weight, gram)
  }

  private func fitted(_ options: FitOptions) throws -> FitResult {
    try fit(weight: weight, gram: gram, options: options, streamKey: "ablation", team: team)
  }

  @Test func importanceByActivationBeatsWeightBeatsRandom() throws {
    let errors = try [FitOptions.Importance.activation, .weight, .random].map {
      try fitted(FitOptions(criticalRatio: 0.0625, importance: $0)).relativeError
    }
    #expect(errors[0] < errors[1] && errors[1] < errors[2], "\(errors)")
  }

  @Test func furtherCodebooksLowerTheErrorAndCostWhatTheySay() throws {
    var errors: [Double] = []
    for further in 0...3 {
      let result = try fitted(FitOptions(codebookBits: [Int](repeating: 6, count: 1 + further), criticalRatio: 0.0625))
      errors.append(result.relativeError)
      let groups = 32 + 2 * further
      let bits = 160 * groups * 6 + 16 * 8 * 64 * (1 + further) + 16 * 160 + 16 * 256
      #expect(abs(result.bits.total - Double(bits) / Double(160 * 256)) < 1e-12)
    }
    // None against one is left out: a loud channel alone among quiet ones has most of a codeword's bits already, and may have
    // fewer among its like with one codebook more.
    #expect(errors[1] > errors[2] && errors[2] > errors[3] && errors[0] > errors[3], "\(errors)")
  }

  @Test func moreCriticalChannelsLowerTheErrorAndCostWhatTheySay() throws {
    var last = (error: Double.infinity, bits: 0.0)
    for ratio in [0, 0.0625, 0.125, 0.25] {
      let result = try fitted(FitOptions(codebookBits: [6, 6, 6], criticalRatio: ratio))
      #expect(result.relativeError < last.error && result.bits.total > last.bits, "ratio \(ratio)")
      last = (result.relativeError, result.bits.total)
    }
  }

  @Test func annealingAndBeamLowerTheError() throws {
    let plain = try fitted(
      FitOptions(criticalRatio: 0.0625, beamWidth: 1, schedule: FitOptions.Schedule(annealingRounds: 0))
    ).relativeError
    let annealed = try fitted(FitOptions(criticalRatio: 0.0625, beamWidth: 1)).relativeError
    #expect(annealed < plain)
    let narrow = try fitted(FitOptions(criticalRatio: 0.25, beamWidth: 1)).relativeError
    #expect(try fitted(FitOptions(criticalRatio: 0.25, beamWidth: 16)).relativeError < narrow)
  }
}
