// A job that evaluates has no blocks: a shard is one window of tokens, and its task runs the whole model on it.
extension JobPlan {
  /// The plan of a job that measures a model on so many windows. Sums over windows are made in their order, so they are the
  /// same however the windows are shared out.
  public static func evaluation(windows: Int) -> JobPlan {
    let shards = (0..<windows).map { Shard(firstSequence: $0, sequenceCount: 1, isHeldOut: false) }
    return JobPlan(blockCount: 0, linears: [], shards: shards, propagation: .teacher)
  }

  /// Whether the job measures a model, in place of making one.
  public var isEvaluation: Bool { blockCount == 0 }

  /// Shards to evaluate: none in a job that makes a model.
  public var evaluationCount: Int { isEvaluation ? shards.count : 0 }
}
