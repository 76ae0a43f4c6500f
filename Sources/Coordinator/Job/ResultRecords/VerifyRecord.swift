/// What a verification reports.
package struct VerifyRecord: Codable, Sendable, Equatable {
  package struct Linear: Codable, Sendable, Equatable {
    package let name: String
    package let heldOutError: Double
    package let frobeniusError: Double
  }

  package let linears: [Linear]
  /// Share of the block's output energy that is lost on held-out data.
  package let outputError: Double
}
