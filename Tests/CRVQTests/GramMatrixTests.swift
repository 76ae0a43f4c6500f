import CRVQ
import Numerics
import Testing

/// Which matrices a fit takes for the mean of x xᵀ, and which it does not.
@Suite struct GramMatrixTests {
  private let team = ThreadTeam(threads: 2)

  /// Inputs that are always zero say nothing of which weights matter.
  @Test func gramOfZerosIsTakenForTheIdentity() throws {
    var input = RandomInput(seed: 15)
    let weight = input.weight(64, 32)
    let options = FitOptions(codebookBits: [4], maximumRounds: 2)
    let zeros = Matrix(rows: 32, columns: 32)
    let result = try fit(weight: weight, gram: zeros, options: options, team: team)
    let alike = try fit(weight: weight, gram: .identity(32), options: options, team: team)
    #expect(result.packed == alike.packed && result.relativeError == alike.relativeError)
    #expect(result.relativeError > 0 && result.relativeError < 1)
    let error = relativeError(weight: weight, decoded: result.packed.decode(), gram: zeros, team: team)
    #expect(abs(result.relativeError - error) <= 1e-3 * error)
    #expect(error == frobeniusError(weight: weight, decoded: result.packed.decode()))
  }

  /// As far as rounding makes it.
  @Test func slightlyIndefiniteGram() throws {
    var input = RandomInput(seed: 16)
    var gram = input.gram(64, samples: 30)
    for c in 0..<64 { gram[c, c] -= 1e-5 }
    let weight = input.weight(32, 64)
    let result = try fit(weight: weight, gram: gram, options: FitOptions(maximumRounds: 4), team: team)
    #expect(result.relativeError.isFinite)
    #expect(result.packed.decode().values.allSatisfy { $0.isFinite })
  }

  /// [8, 8] with `diagonal` again and again, and `others` beside it.
  private func square(_ diagonal: [Float], others: Float = 0) -> Matrix {
    var matrix = Matrix(rows: 8, columns: 8, values: [Float](repeating: others, count: 64))
    for c in 0..<8 { matrix[c, c] = diagonal[c % diagonal.count] }
    return matrix
  }

  @Test func whatIsNoGramIsRefused() throws {
    var input = RandomInput(seed: 30)
    let random = input.weight(16, 8)
    let ones = Matrix(rows: 4, columns: 8, values: [Float](repeating: 1, count: 32))
    let cases: [(weight: Matrix, gram: Matrix, message: String)] = [
      (random, square([-1]), "Gram matrix[0, 0] is -1.0"),
      (random, square([1, 1, 1, -0.001]), "Gram matrix[3, 3] is -0.001"),
      (random, square([4, 1], others: 3), "Gram matrix[1, 0] is 3.0, with 1.0 and 4.0 on the diagonal"),
      (random, square([1], others: -1.5), "Gram matrix[1, 0] is -1.5"),
      (random, square([0], others: 1e-3), "Gram matrix[1, 0] is 0.001"),
      // Every pair of channels may be so, but not all of them.
      (ones, square([1], others: -0.9), "not positive semidefinite: tr(W H Wᵀ) is -5.29"),
      (random, square([1], others: -0.9), "not positive semidefinite"),
    ]
    for (weight, gram, message) in cases {
      // At any scale.
      for factor in [1, 0x1p-60, 0x1p60] as [Float] {
        let scaled = Matrix(rows: 8, columns: 8, values: gram.values.map { factor * $0 })
        let error = try #require(throws: CRVQError.self) { try fit(weight: weight, gram: scaled, team: team) }
        #expect(error.kind == .input && !error.message.contains("\n"))
        if factor == 1 { #expect(error.message.contains(message), "\(error)") }
      }
    }
  }

  /// What single precision, a short type, or tiny values make of a Gram matrix is still one.
  @Test func roundedGramsAreTaken() throws {
    var input = RandomInput(seed: 31)
    let weight = input.weight(16, 32)
    let options = FitOptions(maximumRounds: 2)
    for samples in [1, 3, 40] {
      let gram = input.gram(32, samples: samples)
      // Rounded to bfloat16, to nearest.
      let short = gram.values.map { Float(bitPattern: ($0.bitPattern &+ 0x8000) & 0xffff_0000) }
      _ = try fit(weight: weight, gram: Matrix(rows: 32, columns: 32, values: short), options: options, team: team)
      for factor in [0x1p-120, 0x1p-100, 0x1p100] as [Float] {
        let scaled = Matrix(rows: 32, columns: 32, values: gram.values.map { factor * $0 })
        _ = try fit(weight: weight, gram: scaled, options: options, team: team)
      }
    }
    // In binary16 the energy of a quiet channel is 0, and its products with the loud ones are not.
    var quiet = input.gram(32, samples: 40)
    for c in 0..<32 {
      quiet[5, c] *= 1e-5
      quiet[c, 5] *= 1e-5
    }
    let half = Matrix(rows: 32, columns: 32, values: Half.widen(Half.narrow(quiet.values)))
    #expect(half[5, 5] == 0 && (0..<32).contains { half[5, $0] != 0 })
    _ = try fit(weight: weight, gram: half, options: options, team: team)
    // A dead channel with rounding beside it.
    var gram = input.gram(32, samples: 40)
    for c in 0..<32 { (gram[5, c], gram[c, 5]) = (1e-9 * gram[5, c], 1e-9 * gram[c, 5]) }
    gram[5, 5] = 0
    _ = try fit(weight: weight, gram: gram, options: options, team: team)
  }
}
