import CRVQ
import Numerics
import TestSupport
import Testing

@Suite struct FitTests {
  private let team = ThreadTeam(threads: 2)

  private func fitted(_ weight: Matrix, _ gram: Matrix, _ options: FitOptions) throws -> FitResult {
    let result = try fit(weight: weight, gram: gram, options: options, streamKey: "test", team: team)
    let decoded = result.packed.decode()
    #expect(decoded.values.allSatisfy { $0.isFinite })
    let error = relativeError(weight: weight, decoded: decoded, gram: gram, team: team)
    #expect(abs(result.relativeError - error) <= 1e-3 * error + 1e-6)
    let frobenius = frobeniusError(weight: weight, decoded: decoded)
    #expect(abs(result.frobeniusError - frobenius) <= 1e-9)
    return result
  }

  /// What a fit has to come below: next to nothing where every point may well have a codeword of its own, else what
  /// plain vector quantization loses, and half of the energy at most.
  private func limit(_ weight: Matrix, _ gram: Matrix, groupSize d: Int = 8, bits: Int) -> Double {
    let points = weight.rows * ((weight.columns + d - 1) / d)
    return 4 * points <= 3 << bits ? 1e-4 : min(0.5, plainError(weight, gram, groupSize: d, bits: bits))
  }

  /// The error of k-means of W over the rows' root mean squares, with the channels as they come and all alike.
  private func plainError(_ weight: Matrix, _ gram: Matrix, groupSize d: Int, bits: Int) -> Double {
    let (rows, columns, groups) = (weight.rows, weight.columns, (weight.columns + d - 1) / d)
    let scales = (0..<rows).map { row in
      let energy = (0..<columns).reduce(0.0) { $0 + Double(weight[row, $1]) * Double(weight[row, $1]) }
      return Float((energy / Double(columns)).squareRoot())
    }
    let points = Buffer<Float>(groups * rows * d, filledWith: 0)
    for row in 0..<rows where scales[row] > 0 {
      for c in 0..<columns { points.base[(c / d * rows + row) * d + c % d] = weight[row, c] / scales[row] }
    }
    let alike = Buffer<Float>(groups * d, filledWith: 1)
    let means = KMeans(points: points, groups: groups, perGroup: rows, d: d, weights: alike, team: team)
    var stream = RandomStream(seed: 0, key: "plain")
    let centers = means.codebook(count: 1 << bits, stream: &stream)
    let (codes, codewords) = (means.assign(to: centers, count: 1 << bits).array, centers.array)
    var decoded = weight
    for row in 0..<rows {
      for c in 0..<columns {
        decoded[row, c] = scales[row] * codewords[Int(codes[c / d * rows + row]) * d + c % d]
      }
    }
    return relativeError(weight: weight, decoded: decoded, gram: gram, team: team)
  }

  @Test(arguments: [4, 8, 16], [[8, 8, 8, 8], [1], [6], [12, 2], [3, 4, 5, 6, 1, 2, 3, 4]])
  func everyGroupSizeAndListOfCodebooks(d: Int, bits: [Int]) throws {
    var input = RandomInput(seed: 10)
    let weight = input.weight(24, 64)
    let gram = input.gram(64, samples: 100)
    let limit = limit(weight, gram, groupSize: d, bits: bits[0])
    for ratio in [0, 0.3, 1] {
      let options = FitOptions(groupSize: d, codebookBits: bits, criticalRatio: ratio, maximumRounds: 3)
      let result = try fitted(weight, gram, options)
      #expect(result.relativeError < limit, "bits \(bits), ratio \(ratio)")
    }
  }

  @Test(arguments: [4, 8, 16], 1...12) func everyNumberOfBits(d: Int, bits: Int) throws {
    var input = RandomInput(seed: UInt64(100 * d + bits))
    let (weight, gram) = (input.weight(12, 48), input.gram(48, samples: 100))
    let limit = limit(weight, gram, groupSize: d, bits: bits)
    for list in [[bits], [bits, 13 - bits]] {
      let result = try fitted(
        weight, gram, FitOptions(groupSize: d, codebookBits: list, criticalRatio: 0.4, maximumRounds: 3))
      #expect(result.relativeError < limit, "bits \(list)")
    }
  }

  @Test(arguments: 1...8) func everyNumberOfCodebooks(count: Int) throws {
    var input = RandomInput(seed: UInt64(200 + count))
    let options = FitOptions(
      codebookBits: [Int](repeating: 4, count: count), criticalRatio: 1, maximumRounds: 3)
    let (weight, gram) = (input.weight(20, 64), input.gram(64, samples: 100))
    let result = try fitted(weight, gram, options)
    #expect(result.packed.criticalCodes.count == count - 1)
    #expect(result.relativeError < limit(weight, gram, bits: 4))
  }

  @Test func fewerPointsThanCodewords() throws {
    var input = RandomInput(seed: 25)
    // 2 · 4 points in all and 2 · 1 critical ones for codebooks of 256.
    let result = try fitted(input.weight(2, 32), input.gram(32, samples: 50), FitOptions(criticalRatio: 0.25))
    #expect(result.relativeError < 1e-4)
  }

  /// Codebook steps look at a sample of the rows, here at every second: the small ones, or all that are zero.
  @Test(arguments: [0, 0.1, 0.3] as [Float]) func rowsThatAlternateInSizeFitAsWellAsOthers(factor: Float) throws {
    var input = RandomInput(seed: 28)
    let (weight, gram) = (input.weight(512, 64), input.gram(64, samples: 200))
    var alternating = weight
    for row in stride(from: 0, to: 512, by: 2) { for c in 0..<64 { alternating[row, c] *= factor } }
    let alike = try fitted(weight, gram, FitOptions(maximumRounds: 8))
    let result = try fitted(alternating, gram, FitOptions(maximumRounds: 8))
    #expect(result.relativeError < 1.05 * alike.relativeError)
  }

  /// Too small for a reciprocal in single precision, and one that no mean of x xᵀ can be.
  @Test func extremeGramMatrices() throws {
    var input = RandomInput(seed: 29)
    let weight = input.weight(16, 16)
    var tiny = Matrix(rows: 16, columns: 16)
    for c in 0..<16 { tiny[c, c] = .leastNormalMagnitude / 100 }
    let result = try fit(weight: weight, gram: tiny, options: FitOptions(maximumRounds: 2), team: team)
    #expect(result.packed.decode().values.allSatisfy { $0.isFinite })
    tiny[3, 5] = 1e30
    let error = #expect(throws: CRVQError.self) { try fit(weight: weight, gram: tiny, team: team) }
    #expect("\(try #require(error))".contains("Gram matrix[3, 5]"))
  }

  @Test(arguments: [0, 1, 2, 5]) func anyNumberOfAnnealingRounds(rounds: Int) throws {
    var input = RandomInput(seed: 26)
    let (weight, gram) = (input.weight(32, 64), input.gram(64, samples: 100))
    let limit = limit(weight, gram, bits: 6)
    for maximum in 1...4 {
      let options = FitOptions(
        codebookBits: [6], maximumRounds: maximum,
        schedule: FitOptions.Schedule(annealingRounds: rounds, sweeps: 1 + maximum))
      let result = try fitted(weight, gram, options)
      #expect(result.rounds <= maximum && result.relativeError < limit)
    }
  }

  @Test func callersCopiesStayAsTheyAre() throws {
    var input = RandomInput(seed: TestRun.seed)
    let (weight, gram) = (input.weight(32, 64), input.gram(64, samples: 100))
    let (weightBefore, gramBefore) = (weight.values.map(\.bitPattern), gram.values.map(\.bitPattern))
    _ = try fit(weight: weight, gram: gram, options: FitOptions(maximumRounds: 2), team: team)
    #expect(weight.values.map(\.bitPattern) == weightBefore, "\(TestRun.seedSetting)")
    #expect(gram.values.map(\.bitPattern) == gramBefore, "\(TestRun.seedSetting)")
  }

  @Test(arguments: FitOptions.Importance.allCases) func everyImportanceRule(rule: FitOptions.Importance) throws {
    var input = RandomInput(seed: 11)
    let options = FitOptions(criticalRatio: 0.2, importance: rule, maximumRounds: 3)
    let (weight, gram) = (input.weight(64, 96), input.gram(96, samples: 200))
    #expect(try fitted(weight, gram, options).relativeError < limit(weight, gram, bits: 8))
  }

  @Test func sameSeedSameBytesForAnyThreadCount() throws {
    var input = RandomInput(seed: TestRun.seed)
    let weight = input.weight(150, 200)
    let gram = input.gram(200, samples: 150)
    // Three of the rounds choose codes at a temperature, whose noise is of a weight's place and of no thread's.
    let options = FitOptions(criticalRatio: 0.1, maximumRounds: 6, seed: 5)
    let results = try [1, 2, 3].map {
      try fit(weight: weight, gram: gram, options: options, streamKey: "a", team: ThreadTeam(threads: $0)).packed
    }
    #expect(results[0] == results[1] && results[0] == results[2], "\(TestRun.seedSetting)")
    let other = try fit(weight: weight, gram: gram, options: options, streamKey: "b", team: team).packed
    #expect(other != results[0], "\(TestRun.seedSetting)")
  }

  @Test func deadChannels() throws {
    var input = RandomInput(seed: 13)
    var gram = input.gram(64, samples: 100)
    for dead in [0, 5, 17, 63] {
      for c in 0..<64 {
        gram[dead, c] = 0
        gram[c, dead] = 0
      }
    }
    let weight = input.weight(32, 64)
    let options = FitOptions(codebookBits: [6, 6], criticalRatio: 0.25, maximumRounds: 4)
    #expect(try fitted(weight, gram, options).relativeError < limit(weight, gram, bits: 6))
  }

  /// H says nothing of a whole group: its codes are near W.
  @Test(arguments: [false, true]) func channelsOfADeadGroupStayNearTheirWeights(areCritical: Bool) throws {
    var input = RandomInput(seed: 30)
    // Without energy, the four are what is left over at the end; with the largest weights, the eight are critical.
    let dead = areCritical ? Array(8..<16) : [3, 9, 17, 26]
    var weight = input.weight(64, areCritical ? 32 : 28)
    var gram = input.gram(weight.columns, samples: 100)
    for channel in dead {
      for c in 0..<weight.columns { (gram[channel, c], gram[c, channel]) = (0, 0) }
      for row in 0..<weight.rows where areCritical { weight[row, channel] *= 2 }
    }
    let options = FitOptions(criticalRatio: areCritical ? 0.25 : 0, importance: .weight, maximumRounds: 4)
    let result = try fitted(weight, gram, options)
    let decoded = result.packed.decode()
    var loss = EnergyLoss()
    for row in 0..<weight.rows { loss.add(dead.map { weight[row, $0] }, dead.map { decoded[row, $0] }) }
    #expect(loss.share < 1 && result.frobeniusError < 1, "\(loss.share), \(result.frobeniusError)")
  }

  @Test func singularGram() throws {
    var input = RandomInput(seed: 14)
    // Of 64 channels five inputs see five directions: the others make up for what a codeword lacks there.
    #expect(
      try fitted(input.weight(32, 64), input.gram(64, samples: 5), FitOptions(maximumRounds: 4)).relativeError < 1e-4)
  }

  @Test func zeroMatrix() throws {
    var input = RandomInput(seed: TestRun.seed)
    let result = try fitted(Matrix(rows: 16, columns: 64), input.gram(64, samples: 100), FitOptions())
    #expect(result.relativeError == 0 && result.frobeniusError == 0, "\(TestRun.seedSetting)")
    #expect(result.packed.decode().values.allSatisfy { $0 == 0 }, "\(TestRun.seedSetting)")
  }

  @Test func rowsOfZerosAndConstants() throws {
    var input = RandomInput(seed: 18)
    var weight = input.weight(32, 64)
    for c in 0..<64 {
      weight[3, c] = 0
      weight[4, c] = 0.25
      weight[5, c] = -1e-7
    }
    let gram = input.gram(64, samples: 100)
    let options = FitOptions(codebookBits: [6, 6], criticalRatio: 0.25, maximumRounds: 4)
    let result = try fitted(weight, gram, options)
    #expect(result.relativeError < limit(weight, gram, bits: 6))
    #expect(result.packed.decode().values[3 * 64..<4 * 64].allSatisfy { $0 == 0 })
  }

  @Test(arguments: [1, 7, 9, 63, 65]) func widthThatIsNoMultipleOfTheGroup(columns: Int) throws {
    var input = RandomInput(seed: 19)
    let (weight, gram) = (input.weight(40, columns), input.gram(columns, samples: 200))
    let result = try fitted(weight, gram, FitOptions(criticalRatio: 1, maximumRounds: 3))
    #expect(result.packed.columns == columns && result.relativeError < limit(weight, gram, bits: 8))
  }

  @Test func oneRow() throws {
    var input = RandomInput(seed: 20)
    // 32 points, 256 codewords: every point may have its own.
    let result = try fitted(input.weight(1, 256), input.gram(256, samples: 500), FitOptions(maximumRounds: 6))
    #expect(result.relativeError < 1e-4)
  }

  @Test func moreThan65535Channels() throws {
    // A Gram matrix of that width is 17 GB: here the format alone; the fit itself knows no such limit.
    let linear = try PackedLinearTests.random(PackedFormat(), rows: 2, columns: 65_544)
    #expect(linear.decodeHalf().count == 2 * 65_544)
    #expect(linear.bitsPerWeight.channelOrder == 16)
  }

  @Test func wrongValuesAreRefusedByPlace() throws {
    var input = RandomInput(seed: TestRun.seed)
    let (weight, gram) = (input.weight(8, 16), input.gram(16, samples: 50))
    for bad in [Float.nan, .infinity, -.infinity, 1e9] {
      var changed = weight
      changed[3, 5] = bad
      let error = try #require(throws: CRVQError.self) { try fit(weight: changed, gram: gram, team: team) }
      #expect(error.kind == .input && error.message.contains("weight[3, 5]"), "\(TestRun.seedSetting)")
    }
    var changed = gram
    changed[15, 2] = .nan
    let error = try #require(throws: CRVQError.self) { try fit(weight: weight, gram: changed, team: team) }
    #expect(error.kind == .input && error.message.contains("Gram matrix[15, 2]"), "\(TestRun.seedSetting)")
    changed = gram
    // One triangle, as ssyrk leaves it.
    for row in 0..<16 { for column in 0..<row { changed[row, column] = 0 } }
    let asymmetric = try #require(throws: CRVQError.self) { try fit(weight: weight, gram: changed, team: team) }
    #expect(asymmetric.kind == .input && asymmetric.message.contains("expected a symmetric matrix"))
    #expect(throws: CRVQError.self) { try fit(weight: weight, gram: input.gram(8, samples: 9), team: team) }
    #expect(throws: CRVQError.self) {
      try fit(weight: Matrix(rows: 0, columns: 16), gram: gram, team: team)
    }
  }

  @Test func progressCanCancel() throws {
    var input = RandomInput(seed: 22)
    var seen: [Int] = []
    let error = try #require(throws: CRVQError.self) {
      try fit(weight: input.weight(16, 32), gram: input.gram(32, samples: 50), team: team) { round, _ in
        seen.append(round)
        return round < 2
      }
    }
    #expect(error.kind == .cancelled && seen == [1, 2])
  }
}
