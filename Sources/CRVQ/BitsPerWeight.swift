/// The size of a packed linear in bits a weight (stored bits over out · in), in parts.
public struct BitsPerWeight: Sendable, Codable, Equatable {
  /// out · (G·e₁ + K·Σ_{j≥2} e_j).
  public let codes: Double
  /// 16 · d · Σ 2^e_j.
  public let codebooks: Double
  /// 16 · out.
  public let scales: Double
  /// 16 or 32 bits for each input channel. The paper leaves it out.
  public let channelOrder: Double

  /// Everything stored.
  public var total: Double { codes + codebooks + scales + channelOrder }
  /// As the paper counts.
  public var totalWithoutChannelOrder: Double { codes + codebooks + scales }

  /// The size of a linear [rows, columns] in this format; it depends on nothing else.
  public init(format: PackedFormat, rows: Int, columns: Int) {
    let groups = format.groups(columns: columns)
    let critical = format.criticalGroups(columns: columns)
    let bits = format.storedBits(columns: columns)
    let weights = Double(rows) * Double(columns)
    let bitsOfRow = groups * bits[0] + critical * bits.dropFirst().reduce(0, +)
    codes = Double(rows) * Double(bitsOfRow) / weights
    codebooks = Double(16 * format.groupSize * bits.reduce(0) { $0 + 1 << $1 }) / weights
    scales = 16 * Double(rows) / weights
    channelOrder = Double(columns) * (columns <= Int(UInt16.max) ? 16 : 32) / weights
  }
}
