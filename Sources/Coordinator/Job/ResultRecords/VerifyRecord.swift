/// What a verification reports.
public struct VerifyRecord: Codable, Sendable, Equatable {
  public struct Linear: Codable, Sendable, Equatable {
    public let name: String
    public let heldOutError: Double
    public let frobeniusError: Double
  }

  public let linears: [Linear]
  /// Share of the block's output energy that is lost on held-out data.
  public let outputError: Double
}
