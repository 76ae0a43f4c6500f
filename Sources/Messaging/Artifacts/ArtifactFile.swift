import Foundation

/// An artifact of a store, open for reading at any offset. Stays readable when the store removes the artifact.
public final class ArtifactFile: Sendable {
  public let artifact: Artifact
  let path: String
  private let descriptor: Int32

  init(artifact: Artifact, path: String, descriptor: Int32) {
    self.artifact = artifact
    self.path = path
    self.descriptor = descriptor
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
      if got == 0 { throw .wrongSize(path: path, expected: artifact.size, found: offset + UInt64(done)) }
      done += got
    }
  }

  /// Maps the whole artifact into memory.
  ///
  /// - Throws: ``ArtifactError`` `.io`.
  public func map() throws(ArtifactError) -> MappedArtifact {
    guard let count = Int(exactly: artifact.size) else { throw .io(operation: "map", path: path, errno: EFBIG) }
    // mmap refuses length 0.
    if count == 0 { return MappedArtifact(artifact: artifact, bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw .system("map", path, errno)
    }
    return MappedArtifact(artifact: artifact, bytes: UnsafeRawBufferPointer(start: base, count: count))
  }
}

/// An artifact's bytes in memory, paged in as they are read. Unmapped when the last reference goes.
public final class MappedArtifact: @unchecked Sendable {
  public let artifact: Artifact
  // Read-only memory that lives as long as this object: safe to read from any thread.
  private let mapped: UnsafeRawBufferPointer

  init(artifact: Artifact, bytes: UnsafeRawBufferPointer) {
    self.artifact = artifact
    mapped = bytes
  }

  deinit {
    if let base = mapped.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), mapped.count) }
  }

  /// Calls `body` with the artifact's bytes; they must not be used after it returns.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(mapped)
  }
}
