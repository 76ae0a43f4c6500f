import CRVQ
import JobGraph
import Messaging
import Numerics
import Transformer

/// Sums what the recollects of a block's shards kept for its repairing linear.
struct RepairSource {
  let linear: LinearSpec
  let environment: TaskEnvironment

  /// One shard in so many serves to judge a repair.
  private static let judgingShare = 4

  private var losses: [WireInputArtifact] { environment.inputs.all(ArtifactRef.lossName(linear.site.rawValue)) }
  private var grams: [WireInputArtifact] { environment.inputs.all(ArtifactRef.gramName(linear.site.rawValue)) }

  /// Over all shards; their Gram matrix is there already.
  func whole(_ gram: Matrix) throws -> RepairSums {
    let loss = try sum(losses)
    return RepairSums(gram: gram, loss: loss.mean, tokens: loss.tokenCount)
  }

  /// Over the shards that a repair is judged on; nil if there is one shard only.
  func part() throws -> RepairSums? {
    if losses.count < 2 { return nil }
    let gram = try environment.grams.sum(
      Self.judging(grams), width: linear.inFeatures, environment.inputs, control: environment.control)
    let loss = try sum(Self.judging(losses))
    return RepairSums(gram: gram, loss: loss.mean, tokens: loss.tokenCount)
  }

  /// The fourth, the eighth and so on; the last of fewer.
  private static func judging(_ shards: [WireInputArtifact]) -> [WireInputArtifact] {
    let share = min(judgingShare, shards.count)
    return stride(from: share - 1, to: shards.count, by: share).map { shards[$0] }
  }

  private func sum(_ inputs: [WireInputArtifact]) throws -> OutputLoss {
    var sum: OutputLoss?
    for input in inputs {
      try environment.control.progress("loss of shard \(input.index)")
      let artifact = try FloatArtifact(.loss, environment.inputs.fetch(input), in: environment.store)
      let (rows, columns, tokens) = artifact.sizes
      let partial = try OutputLoss(rows: rows, columns: columns, tokenCount: tokens, values: artifact.values)
      if sum == nil { sum = partial } else { try sum?.add(partial) }
    }
    guard let sum, sum.rows == linear.outFeatures, sum.columns == linear.inFeatures else {
      throw TaskError.other("the task came without what the block lost")
    }
    return sum
  }
}
