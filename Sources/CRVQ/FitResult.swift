/// A fitted linear and what it cost.
public struct FitResult: Sendable {
  public let packed: PackedLinear
  /// tr((W-Ŵ) H (W-Ŵ)ᵀ) / tr(W H Wᵀ) of the decoded packed form, float16 rounding included.
  public package(set) var relativeError: Double
  /// ‖W-Ŵ‖² / ‖W‖² of the decoded packed form.
  public package(set) var frobeniusError: Double
  public let bits: BitsPerWeight
  public let rounds: Int
  /// Wall time of the whole fit.
  public let seconds: Double
  /// Wall time by step.
  public let steps: FitSteps
  /// What the steps had to do, to judge their times by.
  public let work: FitWork
}

/// Wall time of a fit in seconds, by step.
public struct FitSteps: Sendable, Codable, Equatable {
  /// Permuting W and H, W·H.
  public var preparation = 0.0
  /// Choosing the critical channels.
  public var importance = 0.0
  /// k-means.
  public var start = 0.0
  /// Codes with error feedback.
  public var feedback = 0.0
  /// Codes by coordinate descent.
  public var descent = 0.0
  /// Scales, and the gradient for the codebooks.
  public var scales = 0.0
  /// Codebooks by conjugate gradients.
  public var codebooks = 0.0
  /// Rounding, packing and the error of the decoded form.
  public var packing = 0.0

  /// Name and seconds of every step, in order.
  public var all: [(name: String, seconds: Double)] {
    [
      ("preparation", preparation), ("importance", importance), ("start", start), ("feedback", feedback),
      ("descent", descent), ("scales", scales), ("codebooks", codebooks), ("packing", packing),
    ]
  }

  /// Runs `body` and adds its time to `step`.
  mutating func measure<Value>(
    _ step: WritableKeyPath<FitSteps, Double>, _ body: () throws -> Value
  ) rethrows -> Value {
    let clock = ContinuousClock()
    let start = clock.now
    defer { self[keyPath: step] += (clock.now - start) / .seconds(1) }
    return try body()
  }
}
