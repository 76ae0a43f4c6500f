import Messaging
import Transformer

extension HiddenStates {
  /// Hidden states of an artifact.
  ///
  /// - Throws: as ``FloatArtifact/init(_:_:in:)``; ``TransformerError`` if the values are not as many as the sizes say.
  init(_ digest: Digest, in store: ArtifactStore) throws {
    let artifact = try FloatArtifact(.hidden, digest, in: store)
    let (sequences, length, width) = artifact.sizes
    try self.init(sequences: sequences, length: length, width: width, values: artifact.values)
  }

  /// Writes them to the store.
  func put(into store: ArtifactStore) throws(ArtifactError) -> Artifact {
    try FloatArtifact.put(.hidden, sizes: (sequences, length, width), values, into: store)
  }
}
