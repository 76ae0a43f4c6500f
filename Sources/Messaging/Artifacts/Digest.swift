import Foundation

/// A SHA-256 digest: the name of an artifact in stores and on the wire.
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Bytes of a digest.
  public static let byteCount = 32

  // Four words instead of an array: no allocation, and cheap to hash as a dictionary key.
  private let words: SIMD4<UInt64>

  /// Takes exactly 32 bytes; nil for any other number.
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(first32Of: bytes)
  }

  init(first32Of bytes: some Sequence<UInt8>) {
    var words = SIMD4<UInt64>()
    for (index, byte) in bytes.prefix(Self.byteCount).enumerated() {
      words[index / 8] |= UInt64(byte) << UInt64(56 - 8 * (index % 8))
    }
    self.words = words
  }

  /// Reads 64 lower-case hexadecimal digits; nil for anything else, so that no other file name passes for a digest.
  public init?(hex: some StringProtocol) {
    let digits = hex.utf8
    guard digits.count == 2 * Self.byteCount else { return nil }
    var words = SIMD4<UInt64>()
    for (index, digit) in digits.enumerated() {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      words[index / 16] |= UInt64(value) << UInt64(60 - 4 * (index % 16))
    }
    self.words = words
  }

  /// The digest of bytes in memory.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> Digest { of { add in add(bytes) } }

  /// The digest of bytes in memory.
  public static func of(_ bytes: some ContiguousBytes) -> Digest {
    bytes.withUnsafeBytes { of($0) }
  }

  /// The digest of bytes that come in pieces.
  ///
  /// - Parameter pieces: adds them one after another.
  public static func of<Failure: Error>(
    pieces: (_ add: (UnsafeRawBufferPointer) -> Void) throws(Failure) -> Void
  ) throws(Failure) -> Digest {
    var builder = DigestBuilder()
    try pieces { builder.update($0) }
    return builder.digest
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(56 - 8 * ($0 % 8))) }
  }

  /// The 32 bytes as a message field.
  public var data: Data { Data(bytes) }

  /// 64 lower-case hexadecimal digits.
  public var hex: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The first twelve digits, for logs.
  public var short: String { String(hex.prefix(12)) }

  public var description: String { hex }

  public static func < (left: Digest, right: Digest) -> Bool {
    for index in 0..<4 where left.words[index] != right.words[index] { return left.words[index] < right.words[index] }
    return false
  }
}
