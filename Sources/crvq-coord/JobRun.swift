import Coordinator
import Foundation
import Logging
import Messaging
import Program
import UnixSignals

/// Runs a prepared job in the foreground: display, signals, report. The first Ctrl-C or SIGTERM leaves a job that can be resumed.
struct JobRun {
  private let job: PreparedJob
  private let launch: Launch
  private let printsJSON: Bool

  init(_ job: PreparedJob, _ launch: Launch, json: Bool) {
    self.job = job
    self.launch = launch
    printsJSON = json
  }

  func run() async throws {
    let display: any ProgressDisplay = isatty(STDERR_FILENO) == 1 ? TerminalDisplay() : PlainDisplay()
    let settings = RunningJob.Settings(
      endpoint: launch.endpoint, security: try launch.security(of: job.directory), resumeOptions: launch.workerOptions,
      launcher: try launch.launcher(of: job.directory),
      display: display)
    let running = try RunningJob(job, settings, logger: try job.directory.logger())
    let stop = { @Sendable (signal: UnixSignal) in
      display.note("\(signal): stopping; go on with: \(running.resumeCommand)")
      running.stop("stopped by \(signal); go on with: \(running.resumeCommand)")
    }
    let report = try await runBlocking(thread: "job", stop: stop) { try running.run() }
    if printsJSON { return try JSONOutput.print(report) }
    print(report.table)
    print(
      "\n\(report.totals.linears) linears, \(report.totals.bitsPerWeight.fixed(3)) bits a weight, "
        + "\(report.totals.seconds.asTime); worst \(report.totals.worstLinear) \(report.totals.worstRelativeError.fixed(5))"
    )
    print("output: \(job.options.output)")
    print("next: crvq-coord evaluate --model \(job.options.output) --tokens TEST.safetensors")
    try checkBound(report)
  }

  private func checkBound(_ report: JobReport) throws {
    guard let bound = job.options.maximumRelativeError else { return }
    let above = report.linears.filter { $0.relativeError > bound }
    guard let first = above.first else { return }
    throw CoordinatorError.badInput(
      "\(above.count) linears are above --max-relative-error \(bound), the first block \(first.block) \(first.name) "
        + "with \(first.relativeError.fixed(5)); the output is kept in \(job.options.output)")
  }
}
