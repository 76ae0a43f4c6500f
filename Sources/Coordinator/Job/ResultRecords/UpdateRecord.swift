/// What a step of a distillation reports: how it has gone so far.
public struct UpdateRecord: Codable, Sendable, Equatable {
  /// How far the model's words are from the original's on held-out sequences, before the first epoch: the mean Kullback-Leibler
  /// divergence of a position, in nats. nil if it is not a number.
  public let lossBefore: Double?
  /// The least of all epochs; nil if a loss was not a number, and the packed blocks stay as they were.
  public let lossAfter: Double?
  /// Epochs that were run.
  public let epochs: Int
  /// The one whose parameters are in the output; 0 if none was better than the packed blocks.
  public let bestEpoch: Int
  /// Whether the distillation is over: the result's artifact goes into the output.
  public let isLast: Bool

  /// "distilling: epoch 1: best so far 0.702, 0.755 nats a position from the original before".
  var text: String {
    guard let lossBefore, let lossAfter else { return "distilling: epoch \(epochs): a loss is not a number" }
    let best = bestEpoch == 0 ? "nothing better so far" : "best so far \(lossAfter.fixed(3))"
    return "distilling: epoch \(epochs): \(best), \(lossBefore.fixed(3)) nats a position from the original before"
  }
}
