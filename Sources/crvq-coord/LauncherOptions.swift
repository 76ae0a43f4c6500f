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

  @Option(help: "CURVE keys (comes later).")
  var keys: String?

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
    if keys != nil { throw ValidationError("--keys comes in a later release; bind to loopback or a trusted network") }
    if dashboard != nil { throw ValidationError("--dashboard comes in a later release; see crvq-coord status --watch") }
    if let workers, workers < 1 { throw ValidationError("--workers is \(workers), expected at least 1") }
    if let bind {
      do { _ = try Endpoint(bind) } catch { throw ValidationError("--bind \(error)") }
    }
    if launcher == .none, workers != nil { throw ValidationError("--workers goes with --launcher local") }
  }

  func makeLauncher(logDirectory: String) throws -> any WorkerLauncher {
    switch launcher {
    case .none: return ManualLauncher()
    default:
      let cores = ThreadTeam.availableProcessors
      let count = workers ?? max(1, cores / 2)
      return LocalLauncher(
        LocalLauncher.Configuration(
          executable: try LocalLauncher.findExecutable(), workers: count, threads: max(1, cores / count),
          logDirectory: logDirectory))
    }
  }

  var endpoint: String { bind ?? (launcher == .none ? "tcp://127.0.0.1:7711" : "tcp://127.0.0.1:*") }
}
