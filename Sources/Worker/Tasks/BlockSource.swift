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
    try packedWeights(index, inputs).load(index, job)
  }

  /// The merged artifact of a block, ready to decode.
  func packedWeights(_ index: Int, _ inputs: TaskInputs) throws -> PackedBlock {
    let digest = try inputs.fetch(ArtifactRef.packedName, shard: index)
    let file = try SafetensorsFile(path: inputs.store.verifiedPath(digest))
    return PackedBlock(file: file, original: job.checkpoint, format: job.fit.format)
  }
}

/// One block of a packed model under construction: the linears from the merged artifact, the rest from the original.
struct PackedBlock: Sendable {
  let source: PackedTensors

  init(file: SafetensorsFile, original: Checkpoint, format: PackedFormat) {
    source = PackedTensors(packed: file, others: original, format: format)
  }

  func load(_ index: Int, _ job: JobContext) throws -> DecoderBlock {
    try job.model.loadBlock(index, from: source)
  }
}
