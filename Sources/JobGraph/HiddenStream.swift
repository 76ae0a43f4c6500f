/// The hidden states that a model makes of the calibration tokens, from block to block.
public enum HiddenStream: String, Sendable, CaseIterable {
  /// The original model's.
  case original
  /// Those of the packed blocks.
  case packed
}

extension JobPlan.Propagation {
  /// What blocks are collected on.
  public var stream: HiddenStream { self == .teacher ? .original : .packed }
}

// Who makes the states in front of a block, and who needs them. Both streams begin with the embeddings, which nobody keeps.
extension JobPlan {
  /// The task that leaves a shard's states in front of a block behind, if there is one.
  ///
  /// A pass through the original block makes what is in front of the next one. A pass through a packed block has to wait for
  /// that to be packed, so whoever needs its output makes it first.
  func producer(of stream: HiddenStream, block: Int, shard: Int) -> TaskID? {
    if block == 0 { return nil }
    let isCollected = stream == propagation.stream
    guard isCollected || recollects(shard) else { return nil }
    let pass = stream == .original ? block - 1 : block
    if pass >= blockCount { return nil }
    return isCollected ? .collect(block: pass, shard: shard) : .recollect(block: pass, shard: shard)
  }

  /// The recollects that need a shard's states in front of a block: to see what the packed block makes of its own input, and
  /// what the original one makes of the original's.
  func recollects(using stream: HiddenStream, block: Int, shard: Int) -> [TaskID] {
    guard recollects(shard) else { return [] }
    let passes = stream == .original ? block - 1...block : block...block + 1
    return passes.filter((0..<blockCount).contains).map { .recollect(block: $0, shard: shard) }
  }

  /// Whether the job repairs blocks, and on this shard.
  public func recollects(_ shard: Int) -> Bool { repairSite != nil && !shards[shard].isHeldOut }
}
