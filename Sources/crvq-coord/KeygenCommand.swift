import ArgumentParser

/// Makes the keys of a cluster.
struct KeygenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keygen", abstract: "Make CURVE keys for coordinator and workers (comes later).")

  @Option(help: "Where the keys go.")
  var output: String

  func run() throws {
    throw ValidationError("keygen comes in a later release; until then bind to loopback or a trusted network")
  }
}
