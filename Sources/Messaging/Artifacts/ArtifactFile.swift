import Foundation

/// An artifact of a store, open for reading at any offset. Stays readable when the store removes the artifact.
public final class ArtifactFile: ReadableArtifact {
  public let artifact: Artifact
  private let file: OpenFile

  var path: String { file.path }

  init(artifact: Artifact, _ file: OpenFile) {
    self.artifact = artifact
    self.file = file
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError) {
    try file.read(into: buffer, at: offset)
  }

  /// Maps the whole artifact into memory.
  ///
  /// - Throws: ``ArtifactError`` `.io`.
  public func map() throws(ArtifactError) -> MappedArtifact {
    guard let count = Int(exactly: artifact.size) else { throw .io(operation: "map", path: path, errno: EFBIG) }
    // mmap refuses length 0.
    if count == 0 { return MappedArtifact(artifact: artifact, bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, file.descriptor, 0), base != MAP_FAILED else {
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
