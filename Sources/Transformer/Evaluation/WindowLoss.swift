/// What a model lost on one window of tokens.
public struct WindowLoss: Sendable, Equatable, Codable {
  /// The sum over the window's predictions, in nats.
  public let negativeLogLikelihood: Double
  /// Tokens predicted: all but the window's first.
  public let predictionCount: Int

  public init(negativeLogLikelihood: Double, predictionCount: Int) {
    self.negativeLogLikelihood = negativeLogLikelihood
    self.predictionCount = predictionCount
  }
}
