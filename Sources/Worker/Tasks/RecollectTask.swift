import JobGraph
import Messaging
import Numerics
import Transformer

/// `recollect(b, s)`: runs block b as it was and with its first linears packed, and keeps what the repairing linear needs: the
/// Gram of what it sees in the packed block, and what the block's output lacks.
struct RecollectTask {
  let block: Int
  let shard: Int

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let hidden = try environment.hiddenStates.hidden(block: block, shard: shard)
    let original = try environment.blocks.original(block)
    let changed = try environment.blocks.partlyPacked(block, environment.inputs)
    let collector = RepairCollector(original: original, changed: changed)
    try collector.add(hidden, team: environment.team) { sequence in
      try environment.control.progress(0.9 * Double(sequence) / Double(hidden.sequences), "sequence \(sequence)")
    }
    let (gram, loss) = try collector.partials()
    let site = LinearRole.repairing.site.rawValue
    let gramArtifact = try FloatArtifact.put(
      .gram, sizes: (gram.width, gram.tokenCount, 0), gram.upper, into: environment.store)
    let lossArtifact = try FloatArtifact.put(
      .loss, sizes: (loss.rows, loss.columns, loss.tokenCount), loss.values, into: environment.store)
    var result = WireCollectResult()
    result.tokens = UInt64(hidden.rows)
    return TaskOutcome(
      result: .collect(result),
      outputs: [
        WireArtifactRef(name: ArtifactRef.gramName(site), gramArtifact),
        WireArtifactRef(name: ArtifactRef.lossName(site), lossArtifact),
      ])
  }
}
