import ArgumentParser
import Coordinator

/// Says what is in a packed model.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a packed model is made of: format, sizes, errors.")

  @Option(help: "The packed model's directory.", transform: givenPath)
  var quantized: String

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func run() throws {
    let inspection = try ModelInspection(quantized: quantized)
    if json { return try StandardOutput.print(json: inspection.summary) }
    try StandardOutput.print(inspection.text)
  }
}
