import Checkpoint
import Foundation
import Messaging
import Synchronization
import Transformer

extension ModelManifest {
  /// The manifest of a model: every byte of its weights is read once.
  ///
  /// - Throws: ``CheckpointError``.
  init(of model: Checkpoint, _ config: ModelConfig) throws {
    let parts = try model.parts(block: TensorSpec.block(ofTensor:))
    let results = Mutex([Result<Digest, any Error>?](repeating: nil, count: parts.count))
    DispatchQueue.concurrentPerform(iterations: parts.count) { index in
      let result = Result {
        var builder = DigestBuilder()
        try parts[index].forEachChunk(from: model) { builder.update($0) }
        return builder.digest
      }
      results.withLock { $0[index] = result }
    }
    let digests = try results.withLock { $0 }.compactMap { try $0?.get().hex }
    let text = try AtomicFile.read(config.path, byteCountMax: ModelConfig.byteCountMax)
    self.init(
      config: String(decoding: text, as: UTF8.self), entries: zip(parts, digests).map(Entry.init(part:digest:)))
  }

  /// What stands for the whole model.
  var artifact: Artifact {
    let text = Array(text.utf8)
    return Artifact(digest: Digest.of(text), size: UInt64(text.count))
  }
}
