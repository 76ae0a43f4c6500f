import Checkpoint
import Foundation
import Numerics
import Transformer

/// Perplexity of a model on a token file, measured in this process.
public struct ModelEvaluation: Sendable {
  public struct Result: Codable, Sendable {
    public let perplexity: Double
    /// Tokens predicted.
    public let tokens: Int
    public let seconds: Double

    public init(_ perplexity: Perplexity, seconds: Double) {
      self.perplexity = perplexity.value
      tokens = perplexity.predictionCount
      self.seconds = seconds
    }
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
    let opened = try OpenedModel(model)
    let file = try TokenFile(path: tokens, vocabularySize: opened.model.shape.vocabularySize)
    let windows = try opened.model.shape.windows(of: file, length: window, countMax: maximumWindows)
    let started = ContinuousClock.now
    var nextLine = started + .seconds(5)
    let tokens = (0..<windows.count).map { windows.tokens($0, of: file) }
    let evaluation = WindowEvaluation(model: opened.model, source: opened.tensors(team))
    let losses = try evaluation.losses(tokens, team: team) { step in
      if ContinuousClock.now >= nextLine {
        nextLine = ContinuousClock.now + .seconds(5)
        progress("evaluated step \(step.stepsDone) of \(step.stepCount)")
      }
    }
    return Result(Perplexity(losses), seconds: (ContinuousClock.now - started) / .seconds(1))
  }
}
