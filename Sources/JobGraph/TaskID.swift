/// One unit of work a worker can be given, named by what it makes.
///
/// The name is all there is to it: two workers given the same task make the same bytes.
public enum TaskID: Hashable, Sendable {
  /// Runs block `block` of the original model on one shard's hidden states: a partial Gram a site.
  case collect(block: Int, shard: Int)
  /// Runs a block whose first linears are packed beside the original one: what its last linear sees, and what it can repair.
  case recollect(block: Int, shard: Int)
  /// Fits one linear of a block; `linear` counts the block's linears in the model's order.
  case fit(block: Int, linear: Int)
  /// Tunes the real-valued parameters of a merged block, after those of the blocks before it.
  case tune(block: Int)
  /// Runs the whole packed model on one micro-batch of a step of its distillation: gradients, or a loss.
  case distill(step: Int, batch: Int)
  /// Adds up what the micro-batches of a step gave, and moves the model's parameters or judges them.
  case update(step: Int)
  /// Decodes a packed block and measures it on held-out data.
  case verify(block: Int)
  /// Runs the whole model on one window of a test text and sums what it loses there.
  case evaluate(shard: Int)

  /// The block the task belongs to; 0 for a task of the whole model.
  public var block: Int {
    switch self {
    case .collect(let block, _), .recollect(let block, _), .fit(let block, _), .tune(let block), .verify(let block):
      block
    case .distill, .update, .evaluate: 0
    }
  }

  /// The kinds of task, for counting and display.
  public enum Kind: String, Sendable, CaseIterable {
    case collect
    case recollect
    case fit
    case tune
    case distill
    case update
    case verify
    case evaluate
  }

  public var kind: Kind {
    switch self {
    case .collect: .collect
    case .recollect: .recollect
    case .fit: .fit
    case .tune: .tune
    case .distill: .distill
    case .update: .update
    case .verify: .verify
    case .evaluate: .evaluate
    }
  }
}

extension TaskID {
  /// Whether the task is done only as long as the worker that ran it holds what it made.
  var leavesOutputsOnWorker: Bool { kind == .collect || kind == .recollect || kind == .distill }

  /// The shard the task is for, if it is for one.
  var shard: Int? {
    switch self {
    case .collect(_, let shard), .recollect(_, let shard), .evaluate(let shard): shard
    case .fit, .tune, .distill, .update, .verify: nil
    }
  }
}

extension TaskID: CustomStringConvertible {
  /// As in the article JobGraph: `collect(3, 0)`, `recollect(3, 0)`, `fit(3, 6)`, `tune(3)`, `distill(5, 2)`, `update(5)`,
  /// `verify(3)`, `evaluate(0)`.
  public var description: String {
    switch self {
    case .collect(let block, let shard): "collect(\(block), \(shard))"
    case .recollect(let block, let shard): "recollect(\(block), \(shard))"
    case .fit(let block, let linear): "fit(\(block), \(linear))"
    case .tune(let block): "tune(\(block))"
    case .distill(let step, let batch): "distill(\(step), \(batch))"
    case .update(let step): "update(\(step))"
    case .verify(let block): "verify(\(block))"
    case .evaluate(let shard): "evaluate(\(shard))"
    }
  }
}

extension TaskID: Comparable {
  /// Blocks in order, within a block collect, recollect, fit, tune, verify; what is for all blocks comes behind them.
  public static func < (left: TaskID, right: TaskID) -> Bool { left.order < right.order }

  private var order: (Int, Int, Int) {
    switch self {
    case .collect(let block, let shard): (block, 0, shard)
    case .recollect(let block, let shard): (block, 1, shard)
    case .fit(let block, let linear): (block, 2, linear)
    case .tune(let block): (block, 3, 0)
    case .verify(let block): (block, 4, 0)
    case .distill(let step, let batch): (.max, 2 * step, batch)
    case .update(let step): (.max, 2 * step + 1, 0)
    case .evaluate(let shard): (0, 5, shard)
    }
  }
}
