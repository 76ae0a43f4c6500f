import Foundation
import Messaging

/// Floats with a few sizes in front, as an artifact: how Grams and hidden states travel.
///
/// The bytes: a tag of 8 characters, three sizes (uint64), the values (binary32), all little-endian.
package struct FloatArtifact {
  /// What the values are; a reader asks for the tag it expects.
  package enum Tag: String {
    case gram = "crvqgram"
    case hidden = "crvqhidn"
    case loss = "crvqloss"
  }

  package let sizes: (Int, Int, Int)
  package let values: [Float]

  private static let headerLength = 32
  private static let sizeMax = UInt64(1) << 40

  /// Writes the artifact to the store.
  package static func put(
    _ tag: Tag, sizes: (Int, Int, Int), _ values: [Float], into store: ArtifactStore
  ) throws(ArtifactError) -> Artifact {
    let writer = try store.writer()
    var header = Array(tag.rawValue.utf8)
    for size in [sizes.0, sizes.1, sizes.2] {
      header += (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }
    try writer.write(header)
    // The pointer is valid inside the closure only, so the error crosses it by hand.
    let result: Result<Void, ArtifactError> = values.withUnsafeBytes { bytes in
      do throws(ArtifactError) { return .success(try writer.write(bytes)) } catch { return .failure(error) }
    }
    try result.get()
    return try writer.finish()
  }

  /// Reads an artifact of the store.
  ///
  /// - Throws: ``ArtifactError`` if it is not there; ``TaskError`` if it is not what its tag says.
  package init(_ tag: Tag, _ digest: Digest, in store: ArtifactStore) throws {
    let mapped = try store.open(digest)
    (sizes, values) = try mapped.withUnsafeBytes { bytes throws -> ((Int, Int, Int), [Float]) in
      guard bytes.count >= Self.headerLength, bytes.prefix(8).elementsEqual(tag.rawValue.utf8),
        (bytes.count - Self.headerLength) % MemoryLayout<Float>.stride == 0
      else { throw TaskError.other("artifact \(digest.short) is not a \(tag) artifact") }
      let sizes = (0..<3).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 + 8 * $0, as: UInt64.self)) }
      guard sizes.allSatisfy({ $0 <= Self.sizeMax }) else {
        throw TaskError.other("artifact \(digest.short): sizes \(sizes) are out of range")
      }
      let count = (bytes.count - Self.headerLength) / MemoryLayout<Float>.stride
      let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        let data = UnsafeRawBufferPointer(rebasing: bytes[Self.headerLength...])
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: data)
        initialized = count
      }
      return ((Int(sizes[0]), Int(sizes[1]), Int(sizes[2])), values)
    }
    // The file may have changed between the check and the copy.
    _ = try store.file(digest)
  }
}
