/// What a fit reports.
package struct FitRecord: Codable, Sendable, Equatable {
  package let relativeError: Double
  package let frobeniusError: Double
  package let bitsCodes: Double
  package let bitsCodebooks: Double
  package let bitsScales: Double
  package let bitsChannelOrder: Double
  package let rounds: Int
}
