import Checkpoint
import Foundation
import Messaging
import Synchronization
import Transformer

extension ModelManifest {
  /// Parts that are read side by side. Each has a piece of its file in memory, so that it must not be as many as there are cores.
  private static let partsAtATime = 8

  /// The manifest of a model: every byte of its weights is read once.
  ///
  /// - Throws: ``CheckpointError``.
  init(of model: Checkpoint, _ config: ModelConfig) throws {
    let parts = try model.parts(block: TensorSpec.block(ofTensor:))
    let results = Mutex([Result<Digest, any Error>?](repeating: nil, count: parts.count))
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: min(parts.count, Self.partsAtATime)) { _ in
      while case let index = next.add(1, ordering: .relaxed).oldValue, index < parts.count {
        let result = Result { try Digest.of { add in try parts[index].forEachChunk(from: model, add) } }
        results.withLock { $0[index] = result }
      }
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
