import JobGraph
import Messaging
import Numerics
import Transformer

/// `collect(b, s)`: runs block b of the original model on one shard's hidden states and keeps a partial Gram a site.
///
/// As a teacher the pass also makes the next block's input. As a student the hidden states come out of the packed blocks,
/// and the pass through the original block b serves the Grams alone.
struct CollectTask {
  let block: Int
  let shard: Int

  func run(_ environment: TaskEnvironment) throws -> TaskOutcome {
    let job = environment.job
    let stream = job.plan.propagation.stream
    var hidden = try environment.hiddenStates.hidden(stream, block: block, shard: shard)
    let outputs = try environment.outputs { outputs in
      if stream == .packed, block > 0 { outputs.append(try environment.store(hidden, stream, block: block)) }

      let grams = GramCollector(sites: Set(job.sites(ofShard: shard)), shape: job.model.shape)
      try environment.blocks.original(block).forward(&hidden, team: environment.team, observer: grams)
      try environment.control.progress("storing")

      for site in job.sites(ofShard: shard) { outputs.append(try environment.store(grams.partial(site), of: site)) }
      if stream == .original, block + 1 < job.model.blockCount || job.plan.recollects(shard) {
        outputs.append(try environment.store(hidden, stream, block: block + 1))
      }
    }
    var result = WireCollectResult()
    result.tokens = UInt64(hidden.rows)
    return TaskOutcome(result: .collect(result), outputs: outputs)
  }
}
