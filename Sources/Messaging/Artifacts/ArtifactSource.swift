/// Artifacts that can be had by their digest: a store, or files that are to be read elsewhere as well.
public protocol ArtifactSource: AnyObject, Sendable {
  /// Opens an artifact.
  ///
  /// - Throws: ``ArtifactError`` `.notFound`, `.corrupted`, `.io`.
  func readable(_ digest: Digest) throws(ArtifactError) -> any ReadableArtifact

  /// Whether there is an artifact of this digest and length. Its bytes are not looked at.
  func contains(_ digest: Digest, size: UInt64) -> Bool
}

/// An artifact that can be read at any offset.
public protocol ReadableArtifact: Sendable {
  var artifact: Artifact { get }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: ``ArtifactError`` `.wrongSize` or `.endsEarly` if they end before, `.io`.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ArtifactError)
}

extension ArtifactStore: ArtifactSource {
  public func readable(_ digest: Digest) throws(ArtifactError) -> any ReadableArtifact { try file(digest) }
  public func contains(_ digest: Digest, size: UInt64) -> Bool { contains(digest, size: Optional(size)) }
}
