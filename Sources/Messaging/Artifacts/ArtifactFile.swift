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
}
