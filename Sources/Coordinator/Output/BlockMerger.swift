import Checkpoint
import Foundation
import JobGraph
import Messaging

/// Puts the fitted linears of a block into one safetensors file: what verify decodes, and what the output is copied from.
struct BlockMerger {
  let store: ArtifactStore

  /// - Parameter fits: the stored fits of one block in the model's order.
  /// - Throws: ``ArtifactError``, ``CheckpointError`` for a fit that is not there or not what it was.
  func merge(_ fits: [ArtifactRef]) throws -> ArtifactRef {
    let files = try fits.map { try SafetensorsFile(path: store.verifiedPath(of: $0)) }
    let tensors = try files.flatMap { file in try file.tensorNames.map { (try file.declaration($0), file) } }
    let path = store.stagingPath()
    let writer = try SafetensorsWriter(path: path, tensors: tensors.map(\.0))
    for (tensor, file) in tensors {
      try file.forEachChunk(of: tensor.name) { try writer.append($0, to: tensor.name) }
    }
    try writer.finish()
    let artifact = try store.put(movingFileAt: path)
    return ArtifactRef(name: ArtifactRef.packedName, digest: artifact.digest.hex, size: Int(artifact.size))
  }
}

extension ArtifactStore {
  /// The path of an artifact of the store, its bytes checked.
  ///
  /// - Throws: ``ArtifactError``, or ``CoordinatorError`` for a name that is no digest.
  func verifiedPath(of artifact: ArtifactRef) throws -> String {
    guard let digest = Digest(hex: artifact.digest) else {
      throw CoordinatorError.badInput("\(directory): '\(artifact.digest)' is not a SHA-256 digest")
    }
    return try verifiedPath(digest, size: UInt64(artifact.size))
  }
}
