import Coordinator
import Foundation
import Logging
import Messaging
import Program
import UnixSignals

/// Runs a prepared job in the foreground: display and signals. The first Ctrl-C, SIGTERM or hang-up stops it where it is.
struct JobRun {
  private let job: PreparedJob
  private let launch: Launch
  private let dashboard: Dashboard?
  private let resumeOptions: String

  /// - Parameter resumeOptions: what has to be repeated when the job is resumed, so that the same workers find it.
  init(_ job: PreparedJob, _ launch: Launch, _ dashboard: Dashboard?, resumeOptions: String) {
    self.job = job
    self.launch = launch
    self.dashboard = dashboard
    self.resumeOptions = resumeOptions
  }

  func run() async throws {
    let display: any ProgressDisplay = isatty(STDERR_FILENO) == 1 ? TerminalDisplay() : PlainDisplay()
    let running = try running(display)
    let advice = running.resumeCommand.map { "; go on with: \($0)" } ?? ""
    let stop = { @Sendable (signal: UnixSignal) in
      running.stop("stopped by \(signal)")
      display.note("\(signal): stopping\(advice)")
    }
    try await runBlocking(thread: "job", stop: stop) { try running.run() }
  }

  /// A job that was to begin and lacks what it takes is taken back.
  private func running(_ display: any ProgressDisplay) throws -> RunningJob {
    do {
      let settings = RunningJob.Settings(
        endpoint: launch.endpoint, security: try launch.security(of: job.directory),
        resumeOptions: resumeOptions, launcher: launch.launcher(of: job.directory), display: display,
        dashboard: dashboard)
      return try RunningJob(job, settings, logger: job.directory.logger())
    } catch {
      job.discard()
      throw error
    }
  }
}
