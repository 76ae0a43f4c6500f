import Crypto
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

  fileprivate init(first32Of bytes: some Sequence<UInt8>) {
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
  public static func of(_ bytes: UnsafeRawBufferPointer) -> Digest {
    var builder = DigestBuilder()
    builder.update(bytes)
    return builder.digest
  }

  /// The digest of bytes in memory.
  public static func of(_ bytes: some ContiguousBytes) -> Digest {
    bytes.withUnsafeBytes { of($0) }
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

/// SHA-256 over bytes that come in pieces.
public struct DigestBuilder {
  private var hash = SHA256()

  public init() {}

  /// Adds bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

  /// The digest of all bytes so far. More may be added afterwards.
  public var digest: Digest { Digest(first32Of: hash.finalize()) }
}

/// Content, by what it is: its digest and its length in bytes.
public struct Artifact: Hashable, Sendable {
  public let digest: Digest
  /// Bytes.
  public let size: UInt64

  public init(digest: Digest, size: UInt64) {
    self.digest = digest
    self.size = size
  }
}

extension WireArtifactRef {
  /// The reference of `artifact` under a name that says what it is for.
  public init(name: String, _ artifact: Artifact) {
    self.init()
    self.name = name
    self.digest = artifact.digest.data
    self.size = artifact.size
  }

  /// The content meant. Never nil in a message that came out of the codec.
  public var artifact: Artifact? {
    Digest(digest).map { Artifact(digest: $0, size: size) }
  }
}
