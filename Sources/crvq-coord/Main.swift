import ArgumentParser
import Messaging
import Program

/// The coordinator's program: starts, resumes and watches jobs, and works on models at rest.
@main
struct CoordinatorProgram: Program {
  static let configuration = CommandConfiguration(
    commandName: "crvq-coord",
    abstract: "Quantize language models to about one bit a weight on machines you already have.",
    discussion: """
      crvq-coord launch splits a model into transformer blocks, has crvq-worker processes collect activations and fit \
      codebooks, merges and verifies the packed result, and can be resumed after any interruption.

      Exit codes follow sysexits: 64 usage, 65 bad input, 70 a fault of the program, 74 I/O, 75 try again (a job that can be \
      resumed).
      """,
    version: Release.description,
    subcommands: [
      LaunchCommand.self, ResumeCommand.self, StatusCommand.self, VerifyCommand.self, EvaluateCommand.self,
      FitCommand.self, ExportCommand.self, InspectCommand.self, KeygenCommand.self,
    ])
}
