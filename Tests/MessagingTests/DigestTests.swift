import Foundation
import Messaging
import Testing

@Suite struct DigestTests {
  /// FIPS 180-2, appendix B.
  @Test func digestsOfTheStandard() {
    #expect(
      Digest.of(Array("abc".utf8)).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(Digest.of([UInt8]()).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  @Test func piecesGiveTheDigestOfTheWhole() {
    let bytes = patterned(100_003)
    let digest = bytes.withUnsafeBytes { (whole: UnsafeRawBufferPointer) in
      Digest.of { add in
        var start = 0
        for length in [0, 1, 63, 64, 65, 99_810] {
          add(UnsafeRawBufferPointer(rebasing: whole[start..<start + length]))
          start += length
        }
      }
    }
    #expect(digest == Digest.of(bytes))
  }

  @Test func hexAndBytesComeBack() throws {
    let digest = Digest.of(patterned(10))
    #expect(Digest(hex: digest.hex) == digest)
    #expect(Digest(digest.bytes) == digest)
    #expect(Digest(digest.data) == digest)
    #expect(digest.hex.hasPrefix(digest.short))
  }

  @Test func otherNamesAreNoDigests() {
    let hex = Digest.of(patterned(10)).hex
    #expect(Digest(hex: hex.dropLast()) == nil)
    #expect(Digest(hex: hex + "0") == nil)
    #expect(Digest(hex: hex.uppercased()) == nil)
    #expect(Digest(hex: "../" + hex.dropFirst(3)) == nil)
    #expect(Digest([UInt8](repeating: 0, count: 31)) == nil)
    #expect(Digest([UInt8](repeating: 0, count: 33)) == nil)
  }

  @Test func orderIsThatOfTheHexadecimalNames() {
    let digests = (0..<50).map { Digest.of(patterned($0)) }
    #expect(digests.sorted().map(\.hex) == digests.map(\.hex).sorted())
  }

  /// RFC 3720, appendix B.4.
  @Test func checksOfTheStandard() {
    func check(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { CRC32C.of($0) } }
    #expect(check([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(check([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(check(Array(0..<32)) == 0x46DD_794E)
    #expect(check(Array((0..<32).reversed())) == 0x113F_DB5C)
    #expect(check(Array("123456789".utf8)) == 0xE306_9283)
    #expect(check([]) == 0)
  }

  @Test func checkIsThatOfTheBitwiseDefinition() {
    for count in [1, 7, 8, 9, 63, 1000] {
      let bytes = patterned(count, seed: UInt64(count))
      var naive = ~UInt32(0)
      for byte in bytes {
        naive ^= UInt32(byte)
        for _ in 0..<8 { naive = naive & 1 == 1 ? naive >> 1 ^ 0x82F6_3B78 : naive >> 1 }
      }
      #expect(bytes.withUnsafeBytes { CRC32C.of($0) } == ~naive)
      #expect(bytes.withUnsafeBytes { CRC32C.byTables($0) } == ~naive)
    }
  }
}
