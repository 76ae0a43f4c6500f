import ArgumentParser
import Coordinator
import Foundation
import Numerics

/// Measures perplexity, in this process or on workers.
struct EvaluateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure the perplexity of an original or a packed model.",
    discussion: """
      With none of --launcher, --workers, --cluster, --bind, --keys, --insecure it is measured in this process. With any of them workers \
      take a window at a time; the result does not depend on how many there are. Nothing of an evaluation is kept.
      """)

  @Option(help: "A model directory, original or packed.", transform: givenPath)
  var model: String

  @Option(help: "Test tokens: a safetensors file with input_ids [sequences, length].", transform: givenPath)
  var tokens: String

  @Option(
    help: """
      Tokens a window, of which all but the first are predicted. A window lies within a sequence, and is no longer \
      than one; what is left of a sequence is dropped.
      """)
  var window = 2048

  @Option(help: "Use the first N windows (default: all).")
  var maxWindows: Int?

  @OptionGroup(title: "Workers") var launcher: LauncherOptions

  @Option(help: "Threads of this process, without workers (default: all cores).")
  var threads: Int?

  func validate() throws {
    if launcher.dashboard != nil, !launcher.isGiven {
      throw ValidationError("--dashboard shows a job on workers; say which, as in --workers 2")
    }
    if window < 2 { throw ValidationError("--window is \(window), expected at least 2") }
    if let maxWindows, maxWindows < 1 { throw ValidationError("--max-windows is \(maxWindows), expected at least 1") }
    try checkThreads(threads)
    if threads != nil, launcher.isGiven {
      throw ValidationError("--threads is for an evaluation without workers; theirs are in the file of --cluster")
    }
  }

  func run() async throws {
    let result = launcher.isGiven ? try await onWorkers() : try inThisProcess()
    if launcher.json { return try StandardOutput.print(json: result) }
    try StandardOutput.print(
      "perplexity \(result.perplexity.fixed(3)) over \(result.tokens) tokens, \(result.seconds.asTime), "
        + "\((Double(result.tokens) / result.seconds).fixed(0)) tokens/s")
  }

  private func inThisProcess() throws -> ModelEvaluation.Result {
    let evaluation = ModelEvaluation(model: model, tokens: tokens, window: window, maximumWindows: maxWindows)
    let shown = report
    return try evaluation.run(team: ThreadTeam(threads: threads ?? ThreadTeam.availableProcessors)) { shown($0) }
  }

  private func onWorkers() async throws -> ModelEvaluation.Result {
    let options = try EvaluationOptions(
      model: absolute(model), tokens: absolute(tokens), window: window, maximumWindows: maxWindows)
    let launch = try launcher.launch(JobShape(options))
    let dashboard = try await launcher.startDashboard()
    let job = try PreparedJob.create(options, in: launch.temporaryParent)
    defer { job.directory.remove() }
    report("\(options.windows.counted("window")) of \(options.window) tokens")
    let started = ContinuousClock.now
    try await JobRun(job, launch, dashboard, resumeOptions: launcher.forResume).run()
    return ModelEvaluation.Result(try job.perplexity(), seconds: (ContinuousClock.now - started) / .seconds(1))
  }
}
