import Numerics

/// One linear in the packed form: Ŵ = diag(s) · (C₁[c₁] + on critical groups Σ_{j≥2} C_j[c_j]), columns in a stored order.
///
/// The layout of its tensors and the exact rule of decoding are in the article on the packed format.
public struct PackedLinear: Sendable, Equatable {
  public let format: PackedFormat
  /// out.
  public let rows: Int
  /// in, before padding to whole groups.
  public let columns: Int
  /// Codes of codebook 1, [rows, groups].
  public let codes: [UInt16]
  /// Codes of codebooks 2 …, each [rows, critical groups]; empty if there are no critical groups.
  public let criticalCodes: [[UInt16]]
  /// The stored codebooks one after another as binary16 bits, [Σ 2^e_j, d].
  public let codebooks: [UInt16]
  /// A scale a row as binary16 bits, [rows].
  public let scales: [UInt16]
  /// Position in the packed order → original channel, [columns].
  public let channelOrder: [UInt32]

  /// G, the number of groups.
  public var groups: Int { format.groups(columns: columns) }
  /// K, the number of critical groups.
  public var criticalGroups: Int { format.criticalGroups(columns: columns) }
  /// The bits of each stored codebook.
  public var storedBits: [Int] { format.storedBits(columns: columns) }

  /// Checks that the parts fit together.
  ///
  /// - Throws: ``CRVQError`` (`malformed`) with `name` in front.
  public init(
    name: String, format: PackedFormat, rows: Int, columns: Int, codes: [UInt16], criticalCodes: [[UInt16]],
    codebooks: [UInt16], scales: [UInt16], channelOrder: [UInt32]
  ) throws {
    self.format = format
    self.rows = rows
    self.columns = columns
    self.codes = codes
    self.criticalCodes = criticalCodes
    self.codebooks = codebooks
    self.scales = scales
    self.channelOrder = channelOrder
    try format.validate()
    try check(name)
  }

  private func check(_ name: String) throws {
    func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
      if !condition { throw CRVQError(.malformed, "\(name): \(message())") }
    }
    let limit = PackedFormat.maximumDimension
    try require(rows > 0 && columns > 0 && rows <= limit && columns <= limit, "the shape is [\(rows), \(columns)]")
    let bits = storedBits
    try require(codes.count == rows * groups, "expected \(rows)×\(groups) codes, got \(codes.count)")
    try require(
      criticalCodes.count == bits.count - 1,
      "expected critical codes of \(bits.count - 1) codebooks, got \(criticalCodes.count)")
    try require(
      criticalCodes.allSatisfy { $0.count == rows * criticalGroups },
      "expected \(rows)×\(criticalGroups) critical codes a codebook, got \(criticalCodes.map(\.count))")
    let codewords = bits.reduce(0) { $0 + 1 << $1 }
    try require(
      codebooks.count == codewords * format.groupSize,
      "expected \(codewords)×\(format.groupSize) codebook values, got \(codebooks.count)")
    try require(scales.count == rows, "expected \(rows) scales, got \(scales.count)")
    for (j, list) in ([codes] + criticalCodes).enumerated() {
      let largest = list.max() ?? 0
      try require(Int(largest) < 1 << bits[j], "code \(largest) in codebook \(j + 1) of \(1 << bits[j]) codewords")
    }
    for (what, values) in [("codebook", codebooks), ("scale", scales)] {
      try require(values.allSatisfy { $0 & 0x7c00 != 0x7c00 }, "a \(what) value is infinite or not a number")
    }
    var seen = [Bool](repeating: false, count: columns)
    try require(channelOrder.count == columns, "expected \(columns) channels in the order, got \(channelOrder.count)")
    for (position, channel) in channelOrder.enumerated() {
      try require(Int(channel) < columns, "channel \(channel) at position \(position) of \(columns) channels")
      try require(!seen[Int(channel)], "channel \(channel) appears twice in the channel order")
      seen[Int(channel)] = true
    }
  }

  /// The decoded weight as binary16 bits, [rows, columns] in the original channel order. Exact: the same bits everywhere.
  public func decodeHalf(team: ThreadTeam = ThreadTeam(threads: 1)) -> [UInt16] {
    let d = format.groupSize
    let (groups, critical, bits) = (groups, criticalGroups, storedBits)
    let wide = Half.widen(codebooks)
    let wideScales = Half.widen(scales)
    var starts = [0]
    for b in bits { starts.append(starts[starts.count - 1] + (1 << b) * d) }
    let criticalCodes = criticalCodes.flatMap(\.self)
    return [UInt16](unsafeUninitializedCapacity: rows * columns) { output, count in
      nonisolated(unsafe) let output = output
      team.forEachRange(rows, grain: 64) { range in
        var packed = [UInt16](repeating: 0, count: groups * d)
        wide.withUnsafeBufferPointer { wide in
          codes.withUnsafeBufferPointer { codes in
            criticalCodes.withUnsafeBufferPointer { criticalCodes in
              let books = bits.indices.map { j in wide.baseAddress.map { $0 + starts[j] } }
              for row in range {
                let lists = bits.indices.map { j in
                  j == 0
                    ? codes.baseAddress.map { $0 + row * groups }
                    : criticalCodes.baseAddress.map { $0 + ((j - 1) * rows + row) * critical }
                }
                packed.withUnsafeMutableBufferPointer { packed in
                  guard let to = packed.baseAddress else { return }
                  Codewords.decodeRow(
                    codebooks: books, codes: lists, groups: groups, critical: critical, d: d,
                    scale: wideScales[row], into: to)
                }
                for (position, channel) in channelOrder.enumerated() {
                  output[row * columns + Int(channel)] = packed[position]
                }
              }
            }
          }
        }
      }
      count = rows * columns
    }
  }

  /// ``decodeHalf(team:)`` widened, [rows, columns].
  public func decode(team: ThreadTeam = ThreadTeam(threads: 1)) -> Matrix {
    Matrix(rows: rows, columns: columns, values: Half.widen(decodeHalf(team: team)))
  }

  /// Its size.
  public var bitsPerWeight: BitsPerWeight { BitsPerWeight(format: format, rows: rows, columns: columns) }
}
