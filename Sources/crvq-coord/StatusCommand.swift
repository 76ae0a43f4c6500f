import ArgumentParser
import Coordinator
import Foundation

/// Says how far a job is.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how far a job is, from its directory, while it runs or after.")

  @Option(help: "The job directory.")
  var job: String

  @Flag(help: "Show it again every two seconds until the job ends.")
  var watch = false

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func run() throws {
    while true {
      let status = try JobStatus(job: absolute(job))
      if json { try JSONOutput.print(status) } else { print(status.text) }
      if !watch || status.state != "running" { return }
      Thread.sleep(forTimeInterval: 2)
    }
  }
}
