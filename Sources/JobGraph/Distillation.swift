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
    /// The loss on the sequences kept for that, after so many epochs.
    case validation(epoch: Int)
  }

  public let epochs: Int
  /// The sequences of each micro-batch of an epoch, among those that fits see.
  public let training: [Range<Int>]
  /// The same of a validation: the last ones.
  public let validation: [Range<Int>]
  /// Micro-batches a descent, but for the last one of an epoch, which may have fewer.
  public let batchesPerDescent: Int

  /// Fewest and most micro-batches a descent; in between an epoch has so many descents.
  private static let batchesRange = 4...16
  private static let descentsPerEpoch = 12
  /// Positions of a micro-batch, or one sequence if that has more.
  public static let positionsPerBatch = 1024
  /// One sequence in so many is kept to validate on, one at least.
  private static let validationShare = 8
  /// The most micro-batches of a validation: more tell nothing new, and an update names them all.
  private static let validationMax = 64

  /// - Parameters: each at least 1.
  ///   - sequences: those that fits see. A single one serves both for training and for validation.
  ///   - length: positions a sequence.
  public init(epochs: Int, sequences: Int, length: Int) {
    precondition(epochs > 0 && sequences > 0 && length > 0, "sizes are validated with the options")
    self.epochs = epochs
    let size = max(1, Self.positionsPerBatch / length)
    let kept = min(max(1, sequences / Self.validationShare), Self.validationMax * size)
    func split(_ range: Range<Int>) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: size).map { $0..<min(range.upperBound, $0 + size) }
    }
    training = split(0..<max(1, sequences - kept))
    validation = split(sequences - kept..<sequences)
    let wanted = training.count / Self.descentsPerEpoch
    batchesPerDescent = min(max(wanted, Self.batchesRange.lowerBound), Self.batchesRange.upperBound)
  }

  private var descentsPerEpoch: Int { (training.count + batchesPerDescent - 1) / batchesPerDescent }

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
      batches: first..<min(first + batchesPerDescent, training.count))
  }

  /// Tasks that the step is shared out in.
  public func batchCount(ofStep index: Int) -> Int {
    switch self[index] {
    case .descent(_, _, let batches): batches.count
    case .validation: validation.count
    }
  }
}
