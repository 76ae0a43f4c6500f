import ArgumentParser
import Coordinator
import Foundation
import Messaging

/// How a job gets its workers.
struct LauncherOptions: ParsableArguments {
  enum Launcher: String, ExpressibleByArgument, CaseIterable {
    case local, ssh, slurm, none
  }

  @Option(
    help: ArgumentHelp(
      "Who starts the workers (default: the engine of --cluster, else local).", valueName: "local|ssh|slurm|none"))
  var launcher: Launcher?

  @Option(
    help: "Workers to start, on each machine (default: local, one for every two cores as far as memory goes; else one)."
  )
  var workers: Int?

  @Option(
    help: ArgumentHelp("A description of the cluster; see cluster/README.md.", valueName: "file.yaml"),
    transform: givenPath)
  var cluster: String?

  @Option(
    help:
      "Where workers connect to (default: a free port, on loopback for local workers; with --launcher none port 7711).")
  var bind: String?

  @Option(
    help: ArgumentHelp(
      "The job's keys, made by crvq-coord keygen (default: for ssh and slurm the job makes its own).",
      valueName: "dir"),
    transform: givenPath)
  var keys: String?

  @Flag(help: "Let --bind name an address that other machines reach, without keys: anyone there may disturb the job.")
  var insecure = false

  @Option(
    help: ArgumentHelp(
      "Serve /metrics, /status.json and /healthz of the running job over HTTP, on loopback if it is a port alone.",
      valueName: "host:port"))
  var dashboard: DashboardAddress?

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    if keys != nil, insecure { throw ValidationError("--insecure is for jobs without --keys") }
    if let workers, !(1...ClusterFile.workersMax).contains(workers) {
      throw ValidationError("--workers is \(workers), expected at least 1 and at most \(ClusterFile.workersMax)")
    }
    if let bind {
      // A cluster file may have keys, and its engine may make them: that is checked when it has been read.
      let security = cluster == nil && keys == nil && !insecure ? SocketSecurity.plain : .insecure
      do throws(MessagingError) { try security.check(binding: bind) } catch { throw ValidationError("--bind \(error)") }
    }
    switch launcher {
    case .none?:
      if workers != nil { throw ValidationError("--workers goes with --launcher local, ssh or slurm") }
      if cluster != nil { throw ValidationError("--cluster goes with --launcher local, ssh or slurm") }
    case .ssh, .slurm:
      if cluster == nil {
        throw ValidationError("--launcher \(launcher?.rawValue ?? "") needs --cluster FILE.yaml, which says where")
      }
    case .local, nil: break
    }
  }

  /// Whether anything was said of workers.
  var isGiven: Bool {
    launcher != nil || workers != nil || cluster != nil || bind != nil || keys != nil || insecure
  }

  /// What a job that goes on has to be given again, as words for a shell.
  var forResume: String {
    var words: [String] = []
    if launcher == Launcher.none { words += ["--launcher", "none"] }
    if let workers { words += ["--workers", "\(workers)"] }
    for (name, value) in [("--cluster", cluster.map(absolute)), ("--bind", bind), ("--keys", keys.map(absolute))] {
      if let value { words += [name, ShellWord.quoted(value)] }
    }
    if insecure { words.append("--insecure") }
    if let dashboard { words += ["--dashboard", "\(dashboard)"] }
    return words.map { " " + $0 }.joined()
  }

  /// Bound before a job is touched.
  ///
  /// - Throws: ``CoordinatorError`` if it cannot be.
  func startDashboard() async throws -> Dashboard? {
    guard let dashboard else { return nil }
    return try await Dashboard.start(at: dashboard)
  }

  /// Decides about workers before a job is touched.
  ///
  /// - Throws: ``CoordinatorError``, ``KeyError`` for what cannot be used or cannot fit, before anything is made.
  func launch(_ job: JobShape) throws -> Launch {
    try Launch(
      job, on: settings(), bind: bind, keys: keys.map(absolute), isInsecure: insecure,
      version: CoordinatorProgram.configuration.version)
  }

  /// The cluster the job runs on, with what the command line says in place of what the file says; nil for `--launcher none`.
  ///
  /// - Throws: ``CoordinatorError``, ``KeyError`` for what cannot be used, before anything is made.
  private func settings() throws -> ClusterFile? {
    if launcher == Launcher.none { return nil }
    var settings = try cluster.map { try ClusterFile(path: $0) } ?? ClusterFile(engine: .local)
    if let launcher, launcher.rawValue != settings.engine.rawValue {
      throw CoordinatorError.usage(
        "--launcher is \(launcher.rawValue), but \(cluster ?? "") is for engine \(settings.engine.rawValue); drop one")
    }
    if let workers { try settings.setWorkers(workers) }
    if let keys { settings.keys = absolute(keys) }
    return settings
  }
}

extension DashboardAddress: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
