import Foundation

/// A file open for reading at any offset, by any number of threads.
public final class OpenFile: Sendable {
  public let path: String
  let descriptor: Int32

  /// - Throws: ``ArtifactError`` `.io`.
  public convenience init(_ path: String) throws(ArtifactError) {
    // O_NONBLOCK: a pipe of this name must not make us wait for somebody who writes into it.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0 { throw .system("open", path, errno) }
    self.init(descriptor: descriptor, path: path)
  }

  /// Takes over an open descriptor.
  init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: ``ArtifactError`` `.endsEarly`, `.io`.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError) {
    var done = 0
    while done < buffer.count {
      let position = offset + UInt64(done)
      let got = try readSome(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]), at: position)
      if got == 0 { throw .endsEarly(path: path, end: end(before: position), needed: offset + UInt64(buffer.count)) }
      done += got
    }
  }

  /// Where the file ends.
  ///
  /// - Parameter position: at which there was nothing to read: the file may have grown since.
  private func end(before position: UInt64) -> UInt64 {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? min(position, UInt64(clamping: status.st_size)) : position
  }

  /// Bytes read at once for a digest.
  private static let pieceLength = 1 << 20

  /// Digest and length of the file, from its first byte on.
  ///
  /// - Throws: ``ArtifactError`` `.io`.
  public func artifact() throws(ArtifactError) -> Artifact {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceLength, alignment: 64)
    defer { buffer.deallocate() }
    var builder = DigestBuilder()
    var size: UInt64 = 0
    while true {
      let got = try readSome(into: buffer, at: size)
      if got == 0 { return Artifact(digest: builder.digest, size: size) }
      builder.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
      size += UInt64(got)
    }
  }

  /// Reads from `offset` on what the system gives at once.
  ///
  /// - Returns: the number of bytes; 0 at the file's end.
  private func readSome(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError) -> Int {
    while true {
      let got = pread(descriptor, buffer.baseAddress, buffer.count, off_t(clamping: offset))
      if got >= 0 { return got }
      if errno != EINTR { throw .system("read", path, errno) }
    }
  }
}
