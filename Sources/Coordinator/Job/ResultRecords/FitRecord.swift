/// What a fit reports.
public struct FitRecord: Codable, Sendable, Equatable {
  public let relativeError: Double
  public let frobeniusError: Double
  public let bitsCodes: Double
  public let bitsCodebooks: Double
  public let bitsScales: Double
  public let bitsChannelOrder: Double
  public let rounds: Int
}
