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
    let file = try store.file(digest)
    guard let byteCount = Int(exactly: file.artifact.size) else {
      throw TaskError.other("artifact \(digest.short) is too large")
    }
    let header: [UInt8] = try Self.read(min(Self.headerLength, byteCount), of: file, at: 0)
    let valueBytes = byteCount - header.count
    guard header.count == Self.headerLength, header.prefix(8).elementsEqual(tag.rawValue.utf8),
      valueBytes % MemoryLayout<Float>.stride == 0
    else { throw TaskError.other("artifact \(digest.short) is not a \(tag) artifact") }
    let found = header.withUnsafeBytes { bytes in
      (0..<3).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 + 8 * $0, as: UInt64.self)) }
    }
    guard found.allSatisfy({ $0 <= Self.sizeMax }) else {
      throw TaskError.other("artifact \(digest.short): sizes \(found) are out of range")
    }
    sizes = (Int(found[0]), Int(found[1]), Int(found[2]))
    values = try Self.read(valueBytes / MemoryLayout<Float>.stride, of: file, at: Self.headerLength)
    // The file may have changed between the check and the copy.
    _ = try store.file(digest)
  }

  private static func read<Element: BitwiseCopyable>(
    _ count: Int, of file: ArtifactFile, at offset: Int
  ) throws(ArtifactError) -> [Element] {
    // The buffer is valid inside the closure only, so the error crosses it by hand.
    var failure: ArtifactError?
    let elements = [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(ArtifactError) {
        try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: UInt64(offset))
        initialized = count
      } catch { failure = error }
    }
    if let failure { throw failure }
    return elements
  }
}
