import ArgumentParser
import Coordinator
import Numerics

/// Checks a packed model against its original.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check a packed model against its original: digests, and the error of every linear.",
    discussion: """
      Measured again from the two directories: the digests of all files and of the original, each linear's bits and the error of its \
      weights; with the job's calibration tokens also the errors on held-out sequences, of linears and of block outputs. The error on \
      the tokens that a fit saw is taken from the report.
      """)

  @Option(help: "The original model's directory.", transform: givenPath)
  var model: String

  @Option(help: "The packed model's directory.", transform: givenPath)
  var quantized: String

  @Option(
    help:
      "Tokens: also measure errors of linears and outputs, on the sequences the job held out, or on all of other tokens.",
    transform: givenPath)
  var calibration: String?

  @Option(
    help: "Fail if a linear's error is above this: on the tokens of --calibration if given, else as the report has it."
  )
  var maxRelativeError: Double?

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws { try checkErrorBound(maxRelativeError) }

  func run() throws {
    let verification = ModelVerification(
      model: model, quantized: quantized, calibration: calibration, maximumRelativeError: maxRelativeError)
    let result = try verification.run(team: ThreadTeam(threads: ThreadTeam.availableProcessors)) { report($0) }
    if json { try StandardOutput.print(json: result) } else { try StandardOutput.print(result.text) }
    if let failure = result.failure { throw failure }
  }
}
