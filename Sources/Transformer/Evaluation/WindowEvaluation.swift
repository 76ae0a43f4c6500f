import Checkpoint
import Numerics

/// Measures a model on windows of tokens, one block in memory at a time.
///
/// A batch of windows goes through block after block, then through the head. How many windows make a batch depends on the
/// memory allowed and changes no result.
public struct WindowEvaluation {
  /// How far an evaluation is.
  public struct Progress: Sendable, Equatable {
    /// Steps done: a block or the head, for one batch.
    public let stepsDone: Int
    public let stepCount: Int
    /// Tokens in windows whose loss is known.
    public let tokensDone: Int
  }

  public let model: LanguageModel
  public let source: any TensorSource
  /// Bytes of hidden states at a time, the largest part of the memory beside one block or the head.
  public let hiddenBytesMax: Int

  /// - Parameter hiddenBytesMax: at least one window is always held.
  public init(model: LanguageModel, source: any TensorSource, hiddenBytesMax: Int = 1 << 30) {
    self.model = model
    self.source = source
    self.hiddenBytesMax = hiddenBytesMax
  }

  /// The loss on each window, in order.
  ///
  /// - Parameters:
  ///   - windows: token ids, all windows of one length of at least 2.
  ///   - progress: called after each step; what it throws ends the evaluation.
  /// - Throws: ``TransformerError`` for tokens that do not fit; ``CheckpointError`` for tensors that cannot be read.
  public func losses(
    _ windows: [[Int32]], team: ThreadTeam, progress: (Progress) throws -> Void = { _ in }
  ) throws -> [WindowLoss] {
    try model.validate(tokens: windows)
    let windowBytes = windows[0].count * model.shape.hiddenSize * MemoryLayout<Float>.stride
    let batchSize = max(1, hiddenBytesMax / windowBytes)
    let batches = stride(from: 0, to: windows.count, by: batchSize).map {
      Array(windows[$0..<min(windows.count, $0 + batchSize)])
    }
    let stepCount = batches.count * (model.blockCount + 1)
    var stepsDone = 0
    var losses: [WindowLoss] = []
    for batch in batches {
      var hidden = try model.embed(tokens: batch, from: source)
      for block in 0..<model.blockCount {
        try model.loadBlock(block, from: source).forward(&hidden, team: team)
        stepsDone += 1
        try progress(Progress(stepsDone: stepsDone, stepCount: stepCount, tokensDone: losses.count * windows[0].count))
      }
      losses += try score(batch, hidden, team: team)
      stepsDone += 1
      try progress(Progress(stepsDone: stepsDone, stepCount: stepCount, tokensDone: losses.count * windows[0].count))
    }
    return losses
  }

  private func score(_ batch: [[Int32]], _ hidden: HiddenStates, team: ThreadTeam) throws -> [WindowLoss] {
    let head = try model.loadHead(from: source)
    let targets = batch.map { Array($0.dropFirst()) }
    return try head.negativeLogLikelihood(hidden, targets: targets, team: team).map { losses in
      WindowLoss(negativeLogLikelihood: losses.reduce(0, +), predictionCount: losses.count)
    }
  }
}
