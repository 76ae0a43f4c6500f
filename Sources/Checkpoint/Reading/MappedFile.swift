import Foundation

/// A file's bytes mapped read-only; unmapped when the last reference goes.
///
/// The size is read once, when the file is opened. A file that is cut short afterwards raises SIGBUS in whoever reads past
/// its new end, and no check in this process can prevent that: a mapped file must never be rewritten in place. Everything
/// this package writes replaces files by rename, which leaves open mappings on the old bytes.
final class MappedFile: Sendable {
  let path: String
  // Read-only memory that lives as long as this object.
  nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  /// - Throws: ``CheckpointError``: missing, io, or malformed if it is no regular file.
  init(path: String) throws {
    self.path = path
    bytes = try withRegularFile(path) { descriptor, size in try MappedFile.map(descriptor, size, path) }
  }

  private static func map(_ descriptor: Int32, _ size: Int, _ path: String) throws -> UnsafeRawBufferPointer {
    if size == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw CheckpointError.system("cannot map", path, errno)
    }
    return UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }

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
