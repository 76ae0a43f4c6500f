/// What came of a tune.
package struct TuneOutcome: Sendable {
  /// The tuned block, or nil if no epoch was better than the fitted block.
  package var block: PackedBlock?
  /// The validation loss of the fitted block, and of the one that is kept.
  package var lossBefore: Double
  package var lossAfter: Double
  package var epochs = 0
  /// A loss was not a number: the tune ended there and the fitted block is kept.
  package var diverged = false
}
