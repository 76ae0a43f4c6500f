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
    let block = try job.model.loadBlock(index, from: job.original)
    last.withLock { $0 = block }
    return block
  }

  /// A block whose linears are decoded from the packed artifact among the inputs.
  func packed(_ index: Int, _ inputs: TaskInputs, team: ThreadTeam) throws -> DecoderBlock {
    try job.model.loadBlock(index, from: tensors(index, inputs, team: team))
  }

  /// As ``packed(_:_:team:)``, with the packed linears themselves.
  func packedBlock(_ index: Int, _ inputs: TaskInputs, team: ThreadTeam) throws -> PackedBlock {
    let tensors = try tensors(index, inputs, team: team)
    let linears = try job.model.linears.map { spec in
      (spec.role, try linear(spec, ofBlock: index, in: tensors))
    }
    let packed = Dictionary(uniqueKeysWithValues: linears)
    let block = try job.model.loadBlock(index, from: tensors, weights: packed.mapValues { $0.decode(team: team) })
    return PackedBlock(linears: packed, block: block)
  }

  /// The original block with the linears that were fitted first in place of the original ones.
  func partlyPacked(_ index: Int, _ inputs: TaskInputs, team: ThreadTeam) throws -> DecoderBlock {
    var block = try original(index)
    let linears = job.model.linears
    for input in inputs.all(ArtifactRef.fittedName) {
      guard linears.indices.contains(Int(input.index)) else {
        throw TaskError.badInput("block \(index) has no linear \(input.index)")
      }
      let linear = linears[Int(input.index)]
      let packed = PackedTensors(
        packed: try inputs.file(input), others: job.original, format: job.fit.format, team: team)
      block[linear.role].weight = try self.linear(linear, ofBlock: index, in: packed).decode(team: team)
    }
    return block
  }

  /// A packed linear, which may come from any worker.
  private func linear(_ spec: LinearSpec, ofBlock block: Int, in tensors: PackedTensors) throws -> PackedLinear {
    let packed = try tensors.linear(spec.path(block: block))
    guard packed.rows == spec.outFeatures, packed.columns == spec.inFeatures else {
      throw TaskError.other(
        "\(spec.path(block: block)): expected a packed [\(spec.outFeatures), \(spec.inFeatures)], "
          + "got [\(packed.rows), \(packed.columns)]")
    }
    return packed
  }

  /// The tensors of a packed block, and what a distillation that is over has put in their place.
  func tensors(_ index: Int, _ inputs: TaskInputs, team: ThreadTeam) throws -> PackedTensors {
    let packed = try inputs.file(ArtifactRef.packedName, index: index)
    let distilled = try inputs.find(ArtifactRef.distilledName, index: 0).map(inputs.file)
    return PackedTensors(
      packed: ReplacedTensors(packed, by: distilled), others: job.original, format: job.fit.format, team: team)
  }
}
