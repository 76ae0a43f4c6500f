import Checkpoint
import Foundation
import Numerics
import Transformer

/// Perplexity of a model on a token file.
public struct ModelEvaluation: Sendable {
  public struct Result: Codable, Sendable {
    public let perplexity: Double
    /// Tokens predicted.
    public let tokens: Int
    public let seconds: Double
  }

  public let model: String
  public let tokens: String
  public let window: Int
  public let maximumWindows: Int?

  public init(model: String, tokens: String, window: Int, maximumWindows: Int?) {
    self.model = model
    self.tokens = tokens
    self.window = window
    self.maximumWindows = maximumWindows
  }

  /// - Parameter progress: a line now and then.
  /// - Throws: errors that name the file at fault.
  public func run(team: ThreadTeam, progress: (String) -> Void) throws -> Result {
    let opened = try ModelAtRest(model)
    let file = try TokenFile(path: tokens, vocabularySize: opened.model.shape.vocabularySize)
    let windows = try TokenWindows.cut(
      (0..<file.sequenceCount).map { file.sequence($0) }, length: window, countMax: maximumWindows ?? .max)
    let started = ContinuousClock.now
    var nextLine = started + .seconds(5)
    let losses = try opened.losses(windows, team: team) { done, count in
      if ContinuousClock.now >= nextLine {
        nextLine = ContinuousClock.now + .seconds(5)
        progress("evaluated step \(done) of \(count)")
      }
    }
    let perplexity = Perplexity(losses)
    return Result(
      perplexity: perplexity.value, tokens: perplexity.predictionCount,
      seconds: (ContinuousClock.now - started) / .seconds(1))
  }
}

extension ModelAtRest {
  fileprivate func losses(
    _ windows: [[Int32]], team: ThreadTeam, progress: (Int, Int) -> Void
  ) throws -> [WindowLoss] {
    func run(_ source: some TensorSource) throws -> [WindowLoss] {
      try WindowEvaluation(model: model, source: source).losses(windows, team: team) {
        progress($0.stepsDone, $0.stepCount)
      }
    }
    return try run(tensors)
  }
}
