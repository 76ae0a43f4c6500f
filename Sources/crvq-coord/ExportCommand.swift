import ArgumentParser
import Coordinator

/// Decodes a packed model.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Decode a packed model to a plain float16 Hugging Face directory.")

  @Option(help: "The packed model's directory.", transform: givenPath)
  var quantized: String

  @Option(help: "Where the decoded model goes; must not exist.", transform: givenPath)
  var output: String

  func run() throws {
    try ModelExport(quantized: quantized, output: absolute(output)).run { report($0) }
    try StandardOutput.print("exported to \(output)")
  }
}
