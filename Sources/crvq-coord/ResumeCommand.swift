import ArgumentParser
import Coordinator

/// Goes on with a job that was interrupted.
struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on with an interrupted job; nothing that was fitted is fitted again.",
    discussion: "Of a job that is finished it prints the result again.")

  @Option(help: "The job directory.", transform: givenPath)
  var job: String

  @OptionGroup(title: "Workers") var launcher: LauncherOptions

  func run() async throws {
    let dashboard = try await launcher.startDashboard()
    let (prepared, options) = try PreparedJob.resume(absolute(job))
    if let prepared {
      let launch = try launcher.launch(JobShape(options))
      try await JobRun(prepared, launch, dashboard, resumeOptions: launcher.forResume).run()
    } else {
      report("\(absolute(job)): the job is finished")
    }
    try PackedOutput(options).show(json: launcher.json)
  }
}
