import ArgumentParser
import CRVQ
import Coordinator
import Foundation
import Numerics

/// Fits one linear from a file.
struct FitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit", abstract: "Fit one weight matrix from a safetensors file.")

  @Option(help: "A safetensors file with the weight [out, in] and its Gram [in, in].", transform: givenPath)
  var input: String

  @Option(help: "The weight's name in the file.")
  var weight: String

  @Option(help: "The Gram's name in the file.")
  var gram: String

  @OptionGroup(title: "Solver") var solver: SolverOptions

  @Option(help: "Threads (default: all cores).")
  var threads: Int?

  @Option(
    help: "Write the packed tensors to this safetensors file; one that is there is replaced.", transform: givenPath)
  var output: String?

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    try checkThreads(threads)
  }

  func run() throws {
    let fit = SingleFit(input: input, weight: weight, gram: gram, options: try solver.fitOptions(), output: output)
    let result = try fit.run(team: ThreadTeam(threads: threads ?? ThreadTeam.availableProcessors)) { round, error in
      if !json { report("round \(round)  relative error \(error.fixed(6))") }
    }
    if json { return try StandardOutput.print(json: result) }
    try StandardOutput.print(
      "relative error \(result.relativeError.fixed(6)), \(result.bitsPerWeight.fixed(3)) bits a weight "
        + "(\(result.bitsPerWeightWithoutOrder.fixed(3)) without the channel order), "
        + "\(result.rounds) rounds, \(result.seconds.fixed(2)) s")
  }
}
