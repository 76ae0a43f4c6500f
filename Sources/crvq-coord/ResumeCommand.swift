import ArgumentParser
import Coordinator

/// Goes on with a job that was interrupted.
struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on with an interrupted job; nothing that was fitted is fitted again.")

  @Option(help: "The job directory.")
  var job: String

  @OptionGroup(title: "Workers") var launcher: LauncherOptions

  func run() async throws {
    let security = try launcher.security()
    try await JobRun(try PreparedJob.resume(absolute(job)), launcher, security).run()
  }
}
