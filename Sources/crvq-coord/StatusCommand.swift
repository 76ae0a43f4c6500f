import ArgumentParser
import Coordinator
import Foundation

/// Says how far a job is.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how far a job is, from its directory, while it runs or after.")

  @Option(help: "The job directory.", transform: givenPath)
  var job: String

  @Flag(help: "Show it again every two seconds until the job ends, with --json an object a line.")
  var watch = false

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func run() throws {
    var screen = Screen()
    while true {
      let status = try JobStatus(job: absolute(job))
      if json { try StandardOutput.print(json: status) } else { try screen.show(status.text, isOver: !watch) }
      if !watch || status.state != .running { return }
      Thread.sleep(forTimeInterval: 2)
    }
  }

  /// Standard output: of a terminal, what was shown before is drawn over.
  private struct Screen {
    private var drawnLines = 0

    /// - Parameter isOver: whether nothing comes after, so that all of it may scroll by.
    mutating func show(_ text: String, isOver: Bool) throws {
      guard isatty(STDOUT_FILENO) == 1, !isOver else { return try StandardOutput.print(text) }
      let lines = TerminalSize(of: STDOUT_FILENO).lines(of: text)
      if drawnLines > 0 { try StandardOutput.print("\u{1B}[\(drawnLines)A\u{1B}[0J", terminator: "") }
      try StandardOutput.print(lines.joined(separator: "\n"))
      drawnLines = lines.count
    }
  }
}
