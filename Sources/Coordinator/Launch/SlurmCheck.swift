import Foundation

/// Asks Slurm whether it would ever start a plan's workers, without starting any.
public struct SlurmCheck {
  private static let patience = 60.0
  /// Words of one that could not be asked: they say nothing about the plan.
  private static let unreachable = ["Unable to contact", "configuration source", "Connection refused", "timed out"]

  let place: LaunchPlan.Place
  let cluster: ClusterFile

  public init(_ place: LaunchPlan.Place, _ cluster: ClusterFile) {
    self.place = place
    self.cluster = cluster
  }

  /// - Throws: ``CoordinatorError`` `.usage` with what Slurm says and what its partitions have. Where there is no Slurm to ask,
  ///   nothing is known.
  public func run() throws {
    let script = SlurmScript(
      place, cluster, keys: .none, program: WorkerCommand.programName, logDirectory: NSTemporaryDirectory())
    guard
      let done = try? script.submit(["--test-only"], connecting: "tcp://127.0.0.1:1"),
      case .exited(let code) = done.end, code != 0, let reason = done.lastError,
      !Self.unreachable.contains(where: reason.contains)
    else { return }
    throw CoordinatorError.usage("slurm: \(reason); \(Self.partitions)")
  }

  /// "cpu has nodes of 2 cores and 4000 MB".
  private static var partitions: String {
    let words = ["--noheader", "--format=%R has nodes of %c cores and %m MB"]
    let lines =
      (try? ShortProcess.run("sinfo", words, within: patience).output)?.split(whereSeparator: \.isNewline) ?? []
    return lines.isEmpty ? "sinfo tells which partitions there are" : lines.joined(separator: ", ")
  }
}
