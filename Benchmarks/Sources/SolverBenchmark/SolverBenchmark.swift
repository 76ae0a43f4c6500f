import CRVQ
import Foundation

/// Runs the cases named on the command line, or all of them; fails if a threshold is not reached.
@main struct SolverBenchmark {
  var options = FitOptions()
  var threads = 2
  var shared = ProcessInfo.processInfo.environment["CRVQ_SHARED"] ?? "../shared"
  var cases: [String] = []

  static func main() {
    do {
      var run = SolverBenchmark()
      run.readArguments()
      try run.options.validate()
      exit(try run.runCases() ? 0 : 1)
    } catch {
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      exit(70)
    }
  }

  private mutating func readArguments() {
    var arguments = CommandLine.arguments.dropFirst().makeIterator()
    func value<Value: LosslessStringConvertible>() -> Value {
      guard let text = arguments.next(), let value = Value(text) else { Self.fail() }
      return value
    }
    while let argument = arguments.next() {
      switch argument {
      case "--shared": shared = value()
      case "--threads": threads = value()
      case "--case": cases.append(value())
      case "--rounds": options.maximumRounds = value()
      case "--annealing": options.schedule.annealingRounds = value()
      case "--sweeps": options.schedule.sweeps = value()
      case "--temperature": options.schedule.temperature = value()
      case "--steps": options.schedule.codebookSteps = value()
      case "--damping": options.schedule.damping = value()
      case "--beam": options.beamWidth = value()
      case "--seed": options.seed = value()
      case "--tolerance": options.tolerance = value()
      case "--ratio": options.format.criticalRatio = value()
      case "--bits":
        let list: String = value()
        options.format.codebookBits = list.split(separator: ",").compactMap { Int($0) }
      case "--importance":
        guard let rule = FitOptions.Importance(rawValue: value()) else { Self.fail() }
        options.importance = rule
      default: Self.fail()
      }
    }
    if cases.isEmpty { cases = ["memory", "block", "square", "wide", "tall", "threads"] }
  }

  /// - Returns: whether every threshold was reached.
  private func runCases() throws -> Bool {
    var run = Cases(threads: threads, options: options)
    for name in cases {
      switch name {
      // First of all: the peak is that of the whole process.
      case "memory": try run.memory(rows: 4096, columns: 11008)
      case "block": try run.block(shared: shared)
      case "square": try run.large("square", rows: 4096, columns: 4096)
      case "wide": try run.large("wide", rows: 4096, columns: 11008)
      case "tall": try run.large("tall", rows: 11008, columns: 4096)
      case "threads": try run.threads()
      default: Self.fail()
      }
    }
    return run.isPassed
  }

  private static func fail() -> Never {
    let usage = """
      usage: SolverBenchmark [--shared DIR] [--threads N] [--case block|square|wide|tall|threads|memory]...
             [--rounds N] [--annealing N] [--sweeps N] [--temperature X] [--steps N] [--damping X] [--beam N] [--seed N]
             [--tolerance X] [--ratio X] [--bits LIST] [--importance activation|weight|random]

      """
    FileHandle.standardError.write(Data(usage.utf8))
    exit(64)
  }
}
