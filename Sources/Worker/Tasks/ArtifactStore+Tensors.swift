import Checkpoint
import Messaging

extension ArtifactStore {
  /// Writes a safetensors file among the artifacts.
  ///
  /// - Parameter write: appends the tensors in that order.
  /// - Throws: ``CheckpointError``, ``ArtifactError``: it cannot be written; what `write` throws.
  func put(_ tensors: [TensorDeclaration], _ write: (SafetensorsWriter) throws -> Void) throws -> Artifact {
    let path = stagingPath()
    // What is to survive a power failure, the store sees to itself.
    let writer = try SafetensorsWriter(path: path, tensors: tensors, isDurable: false)
    try write(writer)
    try writer.finish()
    return try put(movingFileAt: path)
  }
}
