import ArgumentParser
import Checkpoint
import Coordinator
import Foundation
import JobGraph
import Machines
import Transformer

/// Starts a job.
struct LaunchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch", abstract: "Quantize a model: split, fit, merge, verify.",
    discussion: "Example: crvq-coord launch --model models/M --calibration tokens.safetensors --output M-crvq")

  @Option(help: "The original model's directory, in Hugging Face's layout.", transform: givenPath)
  var model: String

  @Option(
    help: "Calibration tokens: a safetensors file with input_ids [sequences, length]; see scripts/tokenize.",
    transform: givenPath)
  var calibration: String

  @Option(help: "Where the packed model goes; must not exist.", transform: givenPath)
  var output: String

  @Option(help: "Where the job keeps what it needs to resume (default: OUTPUT.job).", transform: givenPath)
  var job: String?

  @OptionGroup(title: "Solver") var solver: SolverOptions

  @Option(
    help: ArgumentHelp(
      """
      What a block sees while it is fitted: the original model's activations (teacher), or those of the packed blocks before it \
      (student).
      """, valueName: "teacher|student"))
  var propagation = JobPlan.Propagation.teacher

  @Flag(inversion: .prefixedNo, help: "Fit each block's last linear after the others, to repair what they lost.")
  var repair = true

  @Option(help: "Epochs of block tuning at most; 0 for none.")
  var tuneEpochs = 0

  @Option(help: "Epochs of distilling all packed blocks together at most; 0 for none.")
  var distillEpochs = 0

  @Option(help: "Fail if a linear's relative error is above this.")
  var maxRelativeError: Double?

  @Option(help: "Calibration sequences to use, the first N (default: all).")
  var sequences: Int?

  @Option(
    help:
      "Of those, the last N are kept from every fit: they verify, and choose the best epoch (default: one in eight).")
  var heldOut: Int?

  @Option(help: "Slices of the calibration data (default: 16, at most one a sequence).")
  var shards: Int?

  @OptionGroup(title: "Workers") var launcher: LauncherOptions

  @Flag(help: "Print what would run where, what memory it takes and about how long, and start nothing.")
  var dryRun = false

  @Option(help: "Seconds for which --dry-run measures the machines' speed.")
  var measureSeconds = MatrixSpeed.usualSeconds

  func validate() throws {
    guard (0...JobOptions.tuneEpochsMax).contains(tuneEpochs) else {
      throw ValidationError("--tune-epochs is \(tuneEpochs), expected 0 to \(JobOptions.tuneEpochsMax)")
    }
    guard (0...JobOptions.distillEpochsMax).contains(distillEpochs) else {
      throw ValidationError("--distill-epochs is \(distillEpochs), expected 0 to \(JobOptions.distillEpochsMax)")
    }
    guard measureSeconds > 0, measureSeconds <= 3600 else {
      throw ValidationError("--measure-seconds is \(measureSeconds), expected more than 0 and at most 3600")
    }
    try checkErrorBound(maxRelativeError)
    for (name, value) in [("--sequences", sequences), ("--held-out", heldOut), ("--shards", shards)] {
      if let value, value < 1 { throw ValidationError("\(name) is \(value), expected at least 1") }
    }
    if let shards, shards > JobOptions.shardsMax {
      throw ValidationError("--shards is \(shards), expected at most \(JobOptions.shardsMax)")
    }
  }

  func run() async throws {
    let options = try jobOptions()
    let jobPath = absolute(job ?? options.output + ".job")
    let shape = try JobShape(options)
    let launch = try launcher.launch(shape)
    if dryRun {
      try PreparedJob.checkPlaces(of: options, in: jobPath)
      return try show(launch, shape)
    }
    let dashboard = try await launcher.startDashboard()
    let prepared = try PreparedJob.create(options, in: jobPath)
    try await JobRun(prepared, launch, dashboard, resumeOptions: launcher.forResume).run()
    try PackedOutput(options).show(json: launcher.json)
  }

  private func show(_ launch: Launch, _ shape: JobShape) throws {
    for error in launch.unreachable { report("\(error)") }
    try launch.askSlurm()
    guard let plan = launch.plan, let survey = launch.survey(seconds: measureSeconds) else {
      throw CoordinatorError.usage("--dry-run needs workers to plan for; --launcher none has none")
    }
    for note in survey.notes { report(note) }
    let dryRun = DryRun(plan, shape, survey)
    if launcher.json { return try StandardOutput.print(json: dryRun) }
    try StandardOutput.print(plan.text)
    try StandardOutput.print(
      "about \(dryRun.estimatedSeconds.asTime) at \(dryRun.gigaflopsPerThread.fixed(0)) GF/s a thread, "
        + "measured for \(measureSeconds.fixed(measureSeconds == measureSeconds.rounded() ? 0 : 1)) s")
  }

  private func jobOptions() throws -> JobOptions {
    let fit = try solver.fitOptions()
    let config = try ModelConfig(directory: model, known: Architectures.names)
    let tokens = try TokenFile(path: calibration, vocabularySize: config.vocabularySize)
    let sizes = try JobOptions.resolve(
      available: tokens.sequenceCount, sequences: sequences, heldOut: heldOut, shards: shards, tokens: calibration)
    return JobOptions(
      model: absolute(model), calibration: absolute(calibration), output: absolute(output), fit: fit,
      propagation: propagation, repair: repair, tuneEpochs: tuneEpochs,
      distillEpochs: distillEpochs > 0 ? distillEpochs : nil, sequences: sizes.sequences, heldOut: sizes.heldOut,
      shards: sizes.shards, maximumRelativeError: maxRelativeError)
  }
}

extension JobPlan.Propagation: ExpressibleByArgument {}
