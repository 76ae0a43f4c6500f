import Coordinator
import Foundation
import Machines
import Messaging

/// What has been decided about workers before a job is touched: that the plan fits, and how the two sides meet.
struct Launch {
  /// nil for workers that are started by hand.
  let plan: LaunchPlan?
  let cluster: ClusterFile?
  let endpoint: String
  let isInsecure: Bool
  /// What has to be repeated when the job is resumed, so that the same workers find it.
  let resumeOptions: String

  /// - Throws: ``CoordinatorError`` for a cluster file with a mistake, an endpoint that others could reach, no program of workers, or a
  ///   plan that cannot fit; ``KeyError``.
  init(_ options: LauncherOptions, _ job: JobShape) throws {
    let cluster = try options.settings()
    self.cluster = cluster
    self.job = job
    isInsecure = options.insecure
    resumeOptions = options.forResume
    keys = cluster?.keys ?? options.keys.map(absolute)
    makesKeys = keys == nil && !isInsecure && (cluster?.engine ?? .local) != .local
    endpoint = try Self.endpoint(options, cluster)
    // What cannot be used stops a job before anything is made.
    let security = try Self.security(keys, isInsecure: isInsecure, hasLaunchers: cluster != nil)
    if !makesKeys { try Self.check(endpoint, security, options) }
    guard let cluster else {
      (plan, program, hosts, unreachable) = (nil, nil, nil, [])
      return
    }
    // ssh brings it along.
    program = cluster.engine == .ssh ? nil : try LocalLauncher.program(of: cluster)
    switch cluster.engine {
    case .local:
      (plan, hosts, unreachable) = (try LaunchPlan(local: cluster, machine: .local, job: job), nil, [])
    case .slurm: (plan, hosts, unreachable) = (try LaunchPlan(slurm: cluster, job: job), nil, [])
    case .ssh:
      let hosts = try SSHHosts(cluster, version: CoordinatorProgram.configuration.version)
      let answers = hosts.probe()
      let machines = answers.compactMap { try? $0.machine.get() }
      unreachable = answers.compactMap { if case .failure(let error) = $0.machine { error } else { nil } }
      if let error = Self.together(unreachable), machines.isEmpty { throw error }
      plan = try LaunchPlan(ssh: cluster, machines: machines, job: job)
      self.hosts = hosts
    }
  }

  /// One error of all hosts.
  private static func together(_ errors: [CoordinatorError]) -> CoordinatorError? {
    guard let first = errors.first, errors.count > 1 else { return errors.first }
    var accounts = errors.prefix(Self.hostsNamed).map { "\($0)" }
    if errors.count > accounts.count { accounts.append("and \(errors.count - accounts.count) more hosts") }
    let text = accounts.joined(separator: "; ")
    return first.exitCode == EX_USAGE ? CoordinatorError.usage(text) : .io(text)
  }

  /// In one line.
  private static let hostsNamed = 4

  private let job: JobShape
  private let keys: String?
  /// Whether the job has keys of its own: where workers come from other machines and the user has made none.
  private let makesKeys: Bool
  /// Of the workers that are started here, or by Slurm.
  private let program: String?
  private let hosts: SSHHosts?
  /// Hosts that do not answer now.
  let unreachable: [CoordinatorError]

  /// - Throws: ``CoordinatorError`` for a plan that Slurm would never start.
  func askSlurm() throws {
    guard let plan, let cluster, cluster.engine == .slurm else { return }
    for place in plan.places { try SlurmCheck(place, cluster).run() }
  }

  /// Measures where the workers would run.
  func survey(seconds: Double) -> SpeedSurvey? {
    guard let plan, let cluster else { return nil }
    return SpeedSurvey(plan, cluster, hosts, seconds: seconds)
  }

  private static func endpoint(_ options: LauncherOptions, _ cluster: ClusterFile?) throws -> String {
    if let bind = options.bind { return bind }
    guard let cluster else { return "tcp://127.0.0.1:7711" }
    if let interface = cluster.interface {
      return "tcp://\(try NetworkInterface.address(of: interface)):*"
    }
    return cluster.engine == .local ? "tcp://127.0.0.1:*" : "tcp://0.0.0.0:*"
  }

  private static func check(_ endpoint: String, _ security: SocketSecurity, _ options: LauncherOptions) throws {
    do throws(MessagingError) { try security.check(binding: endpoint) } catch {
      throw CoordinatorError.usage("\(options.bind == nil ? "interface:" : "--bind") \(error)")
    }
  }

  private static func security(_ keys: String?, isInsecure: Bool, hasLaunchers: Bool) throws -> SocketSecurity {
    guard let keys else { return isInsecure ? .insecure : .plain }
    let directory = KeyDirectory(keys)
    // Launchers find those of the workers in the same place.
    if hasLaunchers { _ = try directory.credentials(of: .worker(name: "")) }
    return .curve(try directory.credentials(of: .coordinator))
  }

  /// How coordinator and workers know each other.
  ///
  /// - Throws: ``KeyError``.
  func security(of job: JobDirectory) throws -> SocketSecurity {
    guard let own = ownKeys(of: job) else {
      return try Self.security(keys, isInsecure: isInsecure, hasLaunchers: cluster != nil)
    }
    if !FileManager.default.fileExists(atPath: own) { try KeyDirectory.create(at: own) }
    return .curve(try KeyDirectory(own).credentials(of: .coordinator))
  }

  private func ownKeys(of job: JobDirectory) -> String? { makesKeys ? job.keysPath : nil }

  /// What a worker has to be given that is started by hand, for people.
  private var workerOptions: String {
    if let keys { return " --keys \(ShellWord.quoted(keys))" }
    return isInsecure ? " --insecure" : ""
  }

  /// Where a job that is not kept has its directory; nil for the system's place for temporary files. Nodes of Slurm write
  /// their logs there and read keys, so it has to be one that they have too, as the current directory of a user of Slurm is.
  var temporaryParent: String? { cluster?.engine == .slurm ? absolute(".") : nil }

  func launcher(of directory: JobDirectory) -> any WorkerLauncher {
    let keys = (keys ?? ownKeys(of: directory)).map { WorkerKeys.directory($0) } ?? (isInsecure ? .insecure : .none)
    if let hosts { return SSHLauncher(hosts, job, keys: keys, logsIn: directory) }
    guard let cluster, let program, let place = plan?.places.first else {
      return ManualLauncher(options: workerOptions)
    }
    if cluster.engine == .slurm {
      return SlurmLauncher(
        program: program, place, cluster, keys: keys, jobDirectory: directory.path, logDirectory: directory.logPath)
    }
    return LocalLauncher(program: program, place, cluster, keys: keys, logsIn: directory)
  }
}
