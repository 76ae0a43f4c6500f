import ArgumentParser
import Coordinator
import Foundation
import Numerics

/// Measures perplexity.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure the perplexity of an original or a packed model.")

  @Option(help: "A model directory, original or packed.")
  var model: String

  @Option(help: "Test tokens: a safetensors file with input_ids [sequences, length].")
  var tokens: String

  @Option(help: "Tokens a window; each predicts all but its first.")
  var window = 2048

  @Option(help: "Use the first N windows (default: all).")
  var maxWindows: Int?

  @OptionGroup(title: "Workers") var launcher: LauncherOptions

  @Option(help: "Threads (default: all cores).")
  var threads: Int?

  func validate() throws {
    if window < 2 { throw ValidationError("--window is \(window), expected at least 2") }
    if let maxWindows, maxWindows < 1 { throw ValidationError("--max-windows is \(maxWindows), expected at least 1") }
    if let threads, threads < 1 { throw ValidationError("--threads is \(threads), expected at least 1") }
  }

  func run() throws {
    let evaluation = ModelEvaluation(model: model, tokens: tokens, window: window, maximumWindows: maxWindows)
    let shown = report
    let result = try evaluation.run(team: ThreadTeam(threads: threads ?? ThreadTeam.availableProcessors)) { line in
      shown(line)
    }
    if launcher.json { return try JSONOutput.print(result) }
    print(
      "perplexity \(result.perplexity.fixed(3)) over \(result.tokens) tokens, \(result.seconds.asTime), "
        + "\((Double(result.tokens) / result.seconds).fixed(0)) tokens/s")
  }
}
