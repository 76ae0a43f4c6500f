/// A fitted linear and what it cost.
public struct FitResult: Sendable {
  public let packed: PackedLinear
  /// tr((W-Ŵ) H (W-Ŵ)ᵀ) / tr(W H Wᵀ) of the decoded packed form, float16 rounding included; with the identity for an H of zeros.
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
