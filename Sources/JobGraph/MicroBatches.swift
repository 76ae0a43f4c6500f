/// The sequences of a job in micro-batches of a fixed size: those that steps are taken on, and those that only tell how it goes.
///
/// Fixed by the job, because they decide the order in which gradients are added up. Validation is on held-out sequences: fits
/// have made the codes for the others, and the loss on those is far below that of other text.
public struct MicroBatches: Sendable, Equatable {
  /// Sequences that fits see.
  public let training: [Range<Int>]
  /// Held-out sequences, the first ones.
  public let validation: [Range<Int>]

  /// Positions of a micro-batch, or one sequence if that has more.
  public static let positions = 1024
  /// The most micro-batches of a validation: more tell nothing new.
  private static let validationMax = 64

  /// - Parameters: each at least 1.
  ///   - fitted: sequences that fits see, the first ones.
  ///   - heldOut: sequences behind those.
  ///   - length: positions a sequence.
  ///   - positions: of a micro-batch, at most.
  public init(fitted: Int, heldOut: Int, length: Int, positions: Int = Self.positions) {
    precondition(fitted > 0 && heldOut > 0 && length > 0, "sizes are validated with the options")
    let size = max(1, positions / length)
    func split(_ range: Range<Int>) -> [Range<Int>] {
      stride(from: range.lowerBound, to: range.upperBound, by: size).map { $0..<min(range.upperBound, $0 + size) }
    }
    training = split(0..<fitted)
    validation = Array(split(fitted..<fitted + heldOut).prefix(Self.validationMax))
  }

  /// Those of a job's shards; nil where none is held out, or all are.
  public init?(_ shards: [JobPlan.Shard], length: Int) {
    func count(isHeldOut: Bool) -> Int {
      shards.reduce(0) { $0 + ($1.isHeldOut == isHeldOut ? $1.sequenceCount : 0) }
    }
    let (fitted, heldOut) = (count(isHeldOut: false), count(isHeldOut: true))
    guard fitted > 0, heldOut > 0, length > 0 else { return nil }
    self.init(fitted: fitted, heldOut: heldOut, length: length)
  }

  /// Sequences in use, the first ones of the job.
  public var sequences: Range<Int> { 0..<(validation.last?.upperBound ?? 0) }
}
