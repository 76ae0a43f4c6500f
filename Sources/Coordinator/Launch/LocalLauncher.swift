import Foundation
import JobGraph
import Messaging

/// Worker processes on this machine, started again when they die.
public final class LocalLauncher: WorkerLauncher {
  private let posts: @Sendable (_ endpoint: String) -> [Supervisor.Post]
  private let supervisor = Supervisor()

  /// - Parameters:
  ///   - program: of the workers; see ``program(of:)``.
  ///   - place: how many and how large.
  ///   - job: where the workers' logs go.
  public init(
    program: String, _ place: LaunchPlan.Place, _ cluster: ClusterFile, keys: WorkerKeys, logsIn job: JobDirectory
  ) {
    var environment = ProcessInfo.processInfo.environment.merging(cluster.environment) { $1 }
    // A worker of a coordinator that is killed ends with it.
    environment["CRVQ_PARENT_PID"] = "\(ProcessInfo.processInfo.processIdentifier)"
    let (inherited, logDirectory, isLogKept) = (environment, job.logPath, !job.isTemporary)
    posts = { endpoint in
      (1...place.workers).map { index in
        let command = WorkerCommand("local-\(index)", place, cluster, keys: keys)
        return Supervisor.Post(
          worker: command.name, executable: program, arguments: command.arguments(connecting: endpoint),
          environment: inherited, log: "\(logDirectory)/worker-\(index).log", isLogKept: isLogKept,
          place: place)
      }
    }
  }

  /// The program of workers: the one that the cluster file names, else that of this machine.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` if there is none. One that is named for the nodes of Slurm need not be here.
  public static func program(of cluster: ClusterFile) throws -> String {
    guard let program = cluster.program else { return try findProgram() }
    if cluster.engine == .local, !ProgramPath.isProgram(program) {
      throw CoordinatorError.usage(
        "program: \(program): not there, or not a program; name a crvq-worker of this machine, or leave it out")
    }
    return program
  }

  /// The worker program: beside this one, else on the path.
  ///
  /// - Throws: ``CoordinatorError`` if it is in neither place.
  static func findProgram() throws -> String {
    let name = WorkerCommand.programName
    let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    guard let found = ProgramPath.find(name, firstIn: own.map { Directory.parent(of: $0) }) else {
      throw CoordinatorError.usage("\(name): not beside crvq-coord and not on the PATH; build or install it")
    }
    return found
  }

  public func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws {
    supervisor.supervise(posts(endpoint), report: report)
  }

  public func end(worker: String, startedBefore time: ContinuousClock.Instant) -> Bool {
    supervisor.end(worker: worker, startedBefore: time)
  }

  public func retire() { supervisor.retire() }

  public func stop() { supervisor.stop() }
}

extension WorkerCommand {
  init(_ name: String, _ place: LaunchPlan.Place, _ cluster: ClusterFile, keys: WorkerKeys) {
    self.init(name: name, threads: place.threads)
    slots = place.slots
    memory = place.memory
    scratch = cluster.scratch
    self.keys = keys
  }
}

extension LaunchPlan.Place {
  /// What a worker that ran out of memory with such tasks in hand should have had, and what to change.
  package func memoryAdvice(_ kinds: [TaskID.Kind]) -> String {
    "it was estimated to need \(need.account(of: kinds))"
      + (memory.map { " and may use \($0)" } ?? "")
      + "; start fewer workers, use fewer --slots or \(need.remedy), or give it more memory"
  }
}
