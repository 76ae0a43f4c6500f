import Checkpoint
import Messaging

extension ArtifactStore {
  /// Writes a safetensors file among the artifacts.
  ///
  /// - Parameter write: appends the tensors in that order.
  /// - Throws: ``CheckpointError``, ``ArtifactError``: it cannot be written; what `write` throws.
  func put(_ tensors: [TensorDeclaration], _ write: (SafetensorsWriter) throws -> Void) throws -> Artifact {
    let path = stagingPath()
    let writer = try SafetensorsWriter(path: path, tensors: tensors)
    try write(writer)
    try writer.finish()
    return try put(movingFileAt: path)
  }
}
