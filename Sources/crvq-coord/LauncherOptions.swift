import ArgumentParser
import Coordinator
import Foundation
import Messaging
import Numerics

/// How a job gets its workers.
struct LauncherOptions: ParsableArguments {
  enum Launcher: String, ExpressibleByArgument, CaseIterable {
    case local, ssh, slurm, none
  }

  @Option(help: ArgumentHelp("Who starts the workers.", valueName: "local|ssh|slurm|none"))
  var launcher = Launcher.local

  @Option(help: "Workers to start on this machine (default: one for every two cores).")
  var workers: Int?

  @Option(help: "A description of the cluster (comes with the ssh and slurm launchers).")
  var cluster: String?

  @Option(help: "Where workers connect to (default: a free port on loopback; with --launcher none port 7711).")
  var bind: String?

  @Option(help: ArgumentHelp("The job's keys, made by crvq-coord keygen.", valueName: "dir"))
  var keys: String?

  @Flag(help: "Let --bind name an address that other machines reach, without keys: anyone there may disturb the job.")
  var insecure = false

  @Option(help: "Serve a dashboard (comes later).")
  var dashboard: String?

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    if launcher == .ssh || launcher == .slurm {
      throw ValidationError(
        "--launcher \(launcher.rawValue) comes in a later release; use local, or none and start crvq-worker by hand")
    }
    if cluster != nil { throw ValidationError("--cluster comes in a later release, with the ssh and slurm launchers") }
    if keys != nil, insecure { throw ValidationError("--insecure is for jobs without --keys") }
    if dashboard != nil { throw ValidationError("--dashboard comes in a later release; see crvq-coord status --watch") }
    if let workers, workers < 1 { throw ValidationError("--workers is \(workers), expected at least 1") }
    if let bind {
      do throws(MessagingError) {
        let endpoint = try Endpoint(bind)
        if !endpoint.isLoopback, keys == nil, !insecure { throw .unprotected(bind) }
      } catch { throw ValidationError("--bind \(error)") }
    }
    if launcher == .none, workers != nil { throw ValidationError("--workers goes with --launcher local") }
  }

  func makeLauncher(logDirectory: String) throws -> any WorkerLauncher {
    switch launcher {
    case .none: return ManualLauncher(options: workerOptions.map { " \($0)" }.joined())
    default:
      let cores = ThreadTeam.availableProcessors
      let count = workers ?? max(1, cores / 2)
      return LocalLauncher(
        LocalLauncher.Configuration(
          executable: try LocalLauncher.findExecutable(), workers: count, threads: max(1, cores / count),
          logDirectory: logDirectory, options: workerOptions))
    }
  }

  /// How coordinator and workers know each other. Before anything is made, so that keys that cannot be used stop a job early.
  ///
  /// - Throws: ``KeyError``.
  func security() throws -> SocketSecurity {
    guard let keys else { return insecure ? .insecure : .plain }
    let directory = KeyDirectory(absolute(keys))
    // The workers of this machine find theirs in the same place.
    if launcher == .local { _ = try directory.credentials(of: .worker(name: "")) }
    return .curve(try directory.credentials(of: .coordinator))
  }

  /// What workers have to be given so that they and the coordinator know each other.
  var workerOptions: [String] {
    if let keys { return ["--keys", absolute(keys)] }
    return insecure ? ["--insecure"] : []
  }

  var endpoint: String { bind ?? (launcher == .none ? "tcp://127.0.0.1:7711" : "tcp://127.0.0.1:*") }
}
