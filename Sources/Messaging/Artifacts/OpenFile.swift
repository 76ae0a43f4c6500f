import Foundation

/// A file open for reading at any offset, by any number of threads.
public final class OpenFile: Sendable {
  public let path: String
  let descriptor: Int32

  /// - Throws: ``ArtifactError`` `.io`.
  public convenience init(_ path: String) throws(ArtifactError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
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
  /// - Throws: ``ArtifactError`` `.wrongSize` if the file ends before, `.io`.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let got = pread(descriptor, base + done, buffer.count - done, off_t(clamping: offset) + off_t(done))
      if got < 0 {
        if errno == EINTR { continue }
        throw .system("read", path, errno)
      }
      let end = offset + UInt64(done)
      if got == 0 { throw .wrongSize(path: path, expected: end + UInt64(buffer.count - done), found: end) }
      done += got
    }
  }
}
