/// What a tune reports.
public struct TuneRecord: Codable, Sendable, Equatable {
  /// The loss of the fitted block on held-out sequences: mean over positions of ‖y - t‖² / ‖t‖². nil if it is not a number.
  public let lossBefore: Double?
  /// That of the block that is kept; nil if a loss was not a number and the tune ended there.
  public let lossAfter: Double?
  public let epochs: Int
  /// Whether the tuned block was better and is the one in the output.
  public let changed: Bool
}
