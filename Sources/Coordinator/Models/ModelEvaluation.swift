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
    if let note = opened.noteOfUnread { progress(note) }
    let file = try TokenFile(path: tokens, vocabularySize: opened.model.shape.vocabularySize)
    let windows = try opened.model.shape.windows(of: file, length: window, countMax: maximumWindows)
    progress("\(windows.count.counted("window")) of \(windows.length) tokens")
    let started = ContinuousClock.now
    var nextLine = started + .seconds(5)
    let tokens = (0..<windows.count).map { windows.tokens($0, of: file) }
    let evaluation = WindowEvaluation(model: opened.model, source: opened.tensors(team))
    let losses = try evaluation.losses(tokens, team: team) { step in
      if ContinuousClock.now >= nextLine {
        nextLine = ContinuousClock.now + .seconds(5)
        progress("evaluated \(Self.place(step, blocks: opened.model.blockCount))")
      }
    }
    return Result(Perplexity(losses), seconds: (ContinuousClock.now - started) / .seconds(1))
  }

  /// What was done last: "block 17 of 30", with more windows than fit in memory "block 17 of 30, part 1 of 2".
  private static func place(_ progress: WindowEvaluation.Progress, blocks: Int) -> String {
    // A batch of windows goes through every block, and then the head.
    let (batch, step) = (progress.stepsDone - 1).quotientAndRemainder(dividingBy: blocks + 1)
    let batches = progress.stepCount / (blocks + 1)
    let place = step < blocks ? "block \(step + 1) of \(blocks)" : "the head"
    return batches > 1 ? "\(place), part \(batch + 1) of \(batches)" : place
  }
}
