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
    let digests = try Self.digests(of: parts, in: model)
    let text = try AtomicFile.read(config.path, byteCountMax: ModelConfig.byteCountMax)
    self.init(
      config: String(decoding: text, as: UTF8.self), entries: zip(parts, digests).map(Entry.init(part:digest:)))
  }

  /// SHA-256 of parts of a model in their order, in hexadecimal.
  ///
  /// - Throws: ``CheckpointError``.
  private static func digests(of parts: [ModelPart], in model: Checkpoint) throws -> [String] {
    let results = Mutex([Result<Digest, any Error>?](repeating: nil, count: parts.count))
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: min(parts.count, partsAtATime)) { _ in
      while case let index = next.add(1, ordering: .relaxed).oldValue, index < parts.count {
        let result = Result { try digest(of: parts[index], in: model) }
        results.withLock { $0[index] = result }
      }
    }
    return try results.withLock { $0 }.compactMap { try $0?.get().hex }
  }

  private static func digest(of part: ModelPart, in model: Checkpoint) throws -> Digest {
    try Digest.of { add in try part.forEachChunk(from: model, add) }
  }

  /// The first part with one of these tensors whose bytes in a model are not those of the manifest any more; nil for none.
  ///
  /// - Parameter checkStop: called before each few parts are read.
  /// - Throws: ``CheckpointError``; what `checkStop` throws.
  func changedPart(of model: Checkpoint, holding tensors: Set<String>, _ checkStop: () throws -> Void) throws -> String?
  {
    let holding = entries.filter { !tensors.isDisjoint(with: $0.part.tensors.keys) }
    for first in stride(from: 0, to: holding.count, by: Self.partsAtATime) {
      try checkStop()
      let few = holding[first..<min(first + Self.partsAtATime, holding.count)]
      let digests = try Self.digests(of: few.map(\.part), in: model)
      if let changed = zip(few, digests).first(where: { $0.digest != $1 }) { return changed.0.part.name }
    }
    return nil
  }

  /// What stands for the whole model.
  var artifact: Artifact {
    let text = Array(text.utf8)
    return Artifact(digest: Digest.of(text), size: UInt64(text.count))
  }
}
