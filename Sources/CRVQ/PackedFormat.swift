/// What a packed model's configuration says about every packed linear in it; with the tensors of a linear, all that is
/// needed to decode it. See the article on the packed format.
public struct PackedFormat: Sendable, Codable, Equatable {
  /// d, the channels a codeword covers.
  public var groupSize: Int
  /// e_j: codebook j has 2^e_j codewords. The first covers all groups, the others the critical ones.
  public var codebookBits: [Int]
  /// λ, the share of channels that are critical.
  public var criticalRatio: Double

  /// The group sizes the kernels know.
  public static let groupSizes = [4, 8, 16]
  /// The largest number of codebooks.
  public static let maximumCodebooks = 8
  /// The largest number of bits of a code.
  public static let maximumCodebookBits = 12
  /// The largest number of input channels or output rows of a linear.
  public static let maximumDimension = 1 << 24

  public init(groupSize: Int = 8, codebookBits: [Int] = [8, 8, 8, 8], criticalRatio: Double = 0.02) {
    self.groupSize = groupSize
    self.codebookBits = codebookBits
    self.criticalRatio = criticalRatio
  }

  /// - Throws: ``CRVQError`` naming the first value outside its range.
  public func validate() throws {
    guard Self.groupSizes.contains(groupSize) else {
      throw CRVQError(.option, "group size is \(groupSize); expected 4, 8 or 16")
    }
    guard (1...Self.maximumCodebooks).contains(codebookBits.count) else {
      throw CRVQError(
        .option, "codebook bits name \(codebookBits.count) codebooks; expected 1 to \(Self.maximumCodebooks)")
    }
    for (index, bits) in codebookBits.enumerated() where !(1...Self.maximumCodebookBits).contains(bits) {
      throw CRVQError(
        .option, "codebook \(index + 1) has \(bits) bits; expected 1 to \(Self.maximumCodebookBits)")
    }
    guard criticalRatio >= 0, criticalRatio <= 1 else {
      throw CRVQError(.option, "critical ratio is \(criticalRatio); expected 0 to 1")
    }
  }

  /// G = ⌈in / d⌉.
  public func groups(columns: Int) -> Int { (columns + groupSize - 1) / groupSize }

  /// K = ⌊λ · in / d + 1e-9⌋, or 0 where there are no further codebooks.
  public func criticalGroups(columns: Int) -> Int {
    if codebookBits.count == 1 { return 0 }
    // The little addition makes decimal ratios mean what they say: 0.29 · 800 / 8 is 28.999999999999996.
    return Int(criticalRatio * Double(columns) / Double(groupSize) + 1e-9)
  }

  /// The bits of the codebooks that a linear of this width stores: all of them, or the first where no group is critical.
  public func storedBits(columns: Int) -> [Int] {
    criticalGroups(columns: columns) > 0 ? codebookBits : [codebookBits[0]]
  }
}
