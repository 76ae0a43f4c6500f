/// What a fit spends its time on, in order. Raw values are the names in reports.
public enum FitStep: String, Sendable, CaseIterable, CodingKey {
  /// Permuting W and H, W·H.
  case preparation
  /// Choosing the critical channels.
  case importance
  /// k-means.
  case start
  /// Codes with error feedback.
  case feedback
  /// Codes by coordinate descent.
  case descent
  /// Scales, and the gradient for the codebooks.
  case scales
  /// Codebooks by conjugate gradients.
  case codebooks
  /// Rounding, packing and the error of the decoded form.
  case packing
}
