import CRVQ
import Checkpoint
import JobGraph
import Messaging
import Numerics
import Synchronization
import Transformer

/// Loads blocks, original and packed, and keeps the last original one: shards of a block come one after another.
final class BlockSource: Sendable {
  private let job: JobContext
  private let last = Mutex<DecoderBlock?>(nil)

  init(_ job: JobContext) { self.job = job }

  /// A block of the original model.
  func original(_ index: Int) throws -> DecoderBlock {
    if let block = last.withLock({ $0 }), block.index == index { return block }
    let block = try job.model.loadBlock(index, from: job.checkpoint)
    last.withLock { $0 = block }
    return block
  }

  /// A block whose linears are decoded from the merged artifact among the inputs.
  func packed(_ index: Int, _ inputs: TaskInputs) throws -> DecoderBlock {
    let digest = try inputs.fetch(ArtifactRef.packedName, shard: index)
    let file = try SafetensorsFile(path: inputs.store.verifiedPath(digest))
    let weights = PackedTensors(packed: file, others: job.checkpoint, format: job.fit.format)
    return try job.model.loadBlock(index, from: weights)
  }
}
