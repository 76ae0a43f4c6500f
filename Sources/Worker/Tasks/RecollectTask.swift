import JobGraph
import Messaging
import Numerics
import Transformer

/// `recollect(b, s)`: runs block b with its first linears packed on what the packed blocks before it make of a shard, and keeps
/// what the repairing linear needs: the Gram of what it sees there, and what the block's output lacks of the original model's.
///
/// Of the two streams one is what blocks are collected on; the other's states are left for the next recollect.
struct RecollectTask {
  let block: Int
  let shard: Int

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let expected = try environment.hiddenStates.hidden(.original, block: block + 1, shard: shard)
    let hidden = try environment.hiddenStates.hidden(.packed, block: block, shard: shard)
    let changed = try environment.blocks.partlyPacked(block, environment.inputs, team: environment.team)
    let collector = RepairCollector(changed)
    try collector.add(hidden, expected: expected, team: environment.team) { sequence in
      try environment.control.progress("sequence \(sequence)")
    }
    let (gram, loss) = try collector.partials()
    let outputs = try environment.outputs { outputs in
      switch environment.job.plan.propagation.stream {
      case .original where block > 0: outputs.append(try environment.store(hidden, .packed, block: block))
      case .packed where block + 1 < environment.job.model.blockCount:
        outputs.append(try environment.store(expected, .original, block: block + 1))
      case .original, .packed: break
      }
      let site = LinearRole.repairing.site
      outputs.append(try environment.store(gram, of: site))
      outputs.append(try environment.store(loss, of: site))
    }
    var result = WireCollectResult()
    result.tokens = UInt64(hidden.rows)
    return TaskOutcome(result: .collect(result), outputs: outputs)
  }
}
