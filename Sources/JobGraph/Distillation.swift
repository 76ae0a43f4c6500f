/// The course of an end-to-end tune of a packed model towards the original's words, in steps that follow one another.
///
/// The first step measures the model as it is. Each epoch then goes once over the training sequences, several micro-batches to
/// a step of descent, and ends with a step that measures again. The micro-batches of a step are shared out among workers, and
/// what they make is added up in their order, so the result does not depend on who made it.
public struct Distillation: Sendable, Equatable {
  /// What a step is for.
  public enum Step: Sendable, Equatable {
    /// Gradients of some micro-batches, by their place in the epoch's order, and then a step down their sum. `number` counts
    /// descents from 1.
    case descent(number: Int, epoch: Int, batches: Range<Int>)
    /// The loss on held-out sequences, after so many epochs.
    case validation(epoch: Int)
  }

  public let epochs: Int
  public let batches: MicroBatches
  /// Micro-batches a descent, but for the last one of an epoch, which may have fewer.
  public let batchesPerDescent: Int

  /// Fewest and most micro-batches a descent; in between an epoch has so many descents.
  private static let batchesRange = 2...16
  private static let descentsPerEpoch = 48

  /// - Parameter epochs: at least 1.
  public init(epochs: Int, _ batches: MicroBatches) {
    precondition(epochs > 0, "epochs are validated with the options")
    self.epochs = epochs
    self.batches = batches
    let wanted = batches.training.count / Self.descentsPerEpoch
    batchesPerDescent = min(max(wanted, Self.batchesRange.lowerBound), Self.batchesRange.upperBound)
  }

  private var descentsPerEpoch: Int { (batches.training.count + batchesPerDescent - 1) / batchesPerDescent }

  /// Descents of all epochs.
  public var descentCount: Int { epochs * descentsPerEpoch }

  /// Descents and validations.
  public var stepCount: Int { 1 + epochs * (descentsPerEpoch + 1) }

  /// - Parameter index: 0 to below ``stepCount``.
  public subscript(index: Int) -> Step {
    let (epoch, place) = (index - 1).quotientAndRemainder(dividingBy: descentsPerEpoch + 1)
    if index == 0 { return .validation(epoch: 0) }
    if place == descentsPerEpoch { return .validation(epoch: epoch + 1) }
    let first = place * batchesPerDescent
    return .descent(
      number: epoch * descentsPerEpoch + place + 1, epoch: epoch,
      batches: first..<min(first + batchesPerDescent, self.batches.training.count))
  }

  /// Tasks that the step is shared out in.
  public func batchCount(ofStep index: Int) -> Int {
    switch self[index] {
    case .descent(_, _, let batches): batches.count
    case .validation: self.batches.validation.count
    }
  }
}
