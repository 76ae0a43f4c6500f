/// An amount of memory, as people write it: "512M", "16G". Units are powers of 1024.
public struct ByteSize: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let bytes: UInt64

  private static let units: [(letter: Character, shift: UInt64)] = [("K", 10), ("M", 20), ("G", 30), ("T", 40)]

  public init(bytes: UInt64) { self.bytes = bytes }

  /// Rounds up, and stays within what 64 bits hold.
  public init(bytes: Double) {
    let limit = 0x1p63
    self.bytes = bytes.isNaN || bytes < 0 ? 0 : bytes >= limit ? UInt64(limit) : UInt64(bytes.rounded(.up))
  }

  /// What a number without a unit must be to be taken for bytes: whoever says 16 means something else.
  private static let bareNumberMin: UInt64 = 1 << 20

  /// Reads a whole number with K, M, G or T behind it, or a large one of bytes; nil for anything else, for zero and for what is too
  /// much.
  public init?(_ text: String) {
    let upper = text.uppercased()
    let unit = Self.units.first { $0.letter == upper.last }
    guard let number = UInt64(unit == nil ? upper : String(upper.dropLast())) else { return nil }
    if unit == nil, number < Self.bareNumberMin { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (unit?.shift ?? 0))
    if overflow || bytes == 0 { return nil }
    self.bytes = bytes
  }

  public static func < (one: ByteSize, other: ByteSize) -> Bool { one.bytes < other.bytes }

  /// In whole mebibytes, rounded up: what engines are asked for.
  public var mebibytes: UInt64 { bytes >> 20 + (bytes & (1 << 20 - 1) == 0 ? 0 : 1) }

  /// With one decimal in the largest unit of which there is at least one: "13.4 GiB".
  public var description: String {
    let unit = Self.units.last { bytes >= 1 << $0.shift }
    guard let unit else { return "\(bytes) bytes" }
    let tenths = (Double(bytes) / Double(UInt64(1) << unit.shift) * 10).rounded() / 10
    return "\(tenths) \(unit.letter)iB"
  }
}
