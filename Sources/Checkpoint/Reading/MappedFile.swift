import Foundation
import Mapping

/// A file's bytes mapped read-only, to be read in pieces that leave memory again.
final class MappedFile: Sendable {
  private let mapping: FileMapping

  /// - Throws: ``CheckpointError``: missing, io, or malformed if it is no regular file.
  init(path: String) throws {
    mapping = try withRegularFile(path) { descriptor, size in
      do throws(FileMapping.Failure) { return try FileMapping(descriptor, byteCount: size, path: path) } catch {
        throw CheckpointError.system("cannot map", path, error.errno)
      }
    }
  }

  /// Valid as long as this object.
  var bytes: UnsafeRawBufferPointer { mapping.bytes }

  /// The largest piece that ``forEachChunk(in:_:)`` hands out. A multiple of the size of every element that takes whole bytes.
  static let chunkByteCount = 4 << 20

  /// Hands out the bytes of `range` in order, a piece at a time, and lets go of each piece's memory after it: however
  /// large the range, this process holds no more than a piece of it.
  func forEachChunk<E: Error>(in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(E) -> Void) throws(E) {
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(range.upperBound, start + Self.chunkByteCount)
      try body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      release(start..<end)
      start = end
    }
  }

  /// Takes the pages up to the end of `range` out of this process, except one that goes on beyond it. They stay in the
  /// system's cache and come back when they are read again, also under a concurrent reader; so it does no harm that the
  /// first page may belong to another tensor too.
  private func release(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    let end = range.upperBound == bytes.count ? bytes.count : range.upperBound / page * page
    guard start < end, let base = bytes.baseAddress else { return }
    // Advice only: if it fails, memory stays resident and nothing else changes.
    madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, Int32(MADV_DONTNEED))
  }
}
