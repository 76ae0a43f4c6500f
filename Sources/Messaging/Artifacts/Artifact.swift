import Foundation

/// Content, by what it is: its digest and its length in bytes.
public struct Artifact: Hashable, Sendable {
  public let digest: Digest
  /// Bytes.
  public let size: UInt64

  public init(digest: Digest, size: UInt64) {
    self.digest = digest
    self.size = size
  }
}

extension WireArtifactRef {
  /// The reference of `artifact` under a name that says what it is for.
  public init(name: String, _ artifact: Artifact) {
    self.init()
    self.name = name
    self.digest = artifact.digest.data
    self.size = artifact.size
  }

  /// The content meant. Never nil in a message that came out of the codec.
  public var artifact: Artifact? {
    Digest(digest).map { Artifact(digest: $0, size: size) }
  }
}
