import Foundation

/// exp of the mean negative log-likelihood of predicted tokens.
public struct Perplexity: Sendable, Equatable {
  /// The sum over all predictions, in nats.
  public let negativeLogLikelihood: Double
  /// The number of predictions.
  public let predictionCount: Int

  /// exp(negativeLogLikelihood / predictionCount).
  public var value: Double { exp(negativeLogLikelihood / Double(predictionCount)) }

  /// Sums over windows in the order given, so that it does not matter where each was computed.
  public init(_ windows: [WindowLoss]) {
    negativeLogLikelihood = windows.reduce(0) { $0 + $1.negativeLogLikelihood }
    predictionCount = windows.reduce(0) { $0 + $1.predictionCount }
  }
}
