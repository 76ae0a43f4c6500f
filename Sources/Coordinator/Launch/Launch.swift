import Foundation
import Machines
import Messaging

/// What has been decided about workers before a job is touched: that the plan fits, and how the two sides meet.
public struct Launch: Sendable {
  /// nil for workers that are started by hand.
  public let plan: LaunchPlan?
  /// Where workers connect to.
  public let endpoint: String
  /// Hosts that do not answer now.
  public let unreachable: [CoordinatorError]

  private let job: JobShape
  private let cluster: ClusterFile?
  private let security: LaunchSecurity
  /// Of the workers that are started here, or by Slurm.
  private let program: String?
  private let hosts: SSHHosts?

  /// - Parameters:
  ///   - cluster: where the workers run; nil for workers that are started by hand.
  ///   - bind: where they connect to; nil for what suits the cluster.
  ///   - keys: a directory of keys, absolute, for a cluster that names none.
  ///   - isInsecure: whether everyone on the network is trusted.
  ///   - version: what a worker program of this release says of its version.
  /// - Throws: ``CoordinatorError`` for an endpoint that others could reach, no program of workers, or a plan that cannot fit;
  ///   ``KeyError``.
  public init(
    _ job: JobShape, on cluster: ClusterFile?, bind: String?, keys: String?, isInsecure: Bool, version: String
  ) throws {
    self.job = job
    self.cluster = cluster
    security = LaunchSecurity(keys: cluster?.keys ?? keys, isInsecure: isInsecure, engine: cluster?.engine)
    endpoint = try bind ?? Self.endpoint(cluster)
    // What cannot be used stops a job before anything is made.
    try security.check(binding: endpoint, from: bind == nil ? "interface:" : "--bind")
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
      let hosts = try SSHHosts(cluster, version: version)
      let answers = hosts.probe()
      let machines = answers.compactMap { try? $0.machine.get() }
      unreachable = answers.compactMap { if case .failure(let error) = $0.machine { error } else { nil } }
      if let error = Self.together(unreachable), machines.isEmpty { throw error }
      plan = try LaunchPlan(ssh: cluster, machines: machines, job: job)
      self.hosts = hosts
    }
  }

  private static func endpoint(_ cluster: ClusterFile?) throws -> String {
    guard let cluster else { return "tcp://127.0.0.1:7711" }
    if let interface = cluster.interface {
      return "tcp://\(try NetworkInterface.address(of: interface)):*"
    }
    return cluster.engine == .local ? "tcp://127.0.0.1:*" : "tcp://0.0.0.0:*"
  }

  /// Hosts that an error of all names, in one line.
  private static let hostsNamed = 4

  /// One error of all hosts.
  private static func together(_ errors: [CoordinatorError]) -> CoordinatorError? {
    guard let first = errors.first, errors.count > 1 else { return errors.first }
    var accounts = errors.prefix(Self.hostsNamed).map { "\($0)" }
    if errors.count > accounts.count { accounts.append("and \(errors.count - accounts.count) more hosts") }
    let text = accounts.joined(separator: "; ")
    return first.exitCode == EX_USAGE ? CoordinatorError.usage(text) : .io(text)
  }

  /// - Throws: ``CoordinatorError`` for a plan that Slurm would never start.
  public func askSlurm() throws {
    guard let plan, let cluster, cluster.engine == .slurm else { return }
    for place in plan.places { try SlurmCheck(place, cluster).run() }
  }

  /// Measures where the workers would run.
  public func survey(seconds: Double) -> SpeedSurvey? {
    guard let plan, let cluster else { return nil }
    return SpeedSurvey(plan, cluster, hosts, seconds: seconds)
  }

  /// Where a job that is not kept has its directory; nil for the system's place for temporary files. Nodes of Slurm write
  /// their logs there and read keys, so it has to be one that they have too, as the current directory of a user of Slurm is.
  public var temporaryParent: String? { cluster?.engine == .slurm ? "." : nil }

  /// How coordinator and workers know each other.
  ///
  /// - Throws: ``KeyError``.
  public func security(of directory: JobDirectory) throws -> SocketSecurity { try security.ofCoordinator(directory) }

  /// What starts the workers.
  public func launcher(of directory: JobDirectory) -> any WorkerLauncher {
    let keys = security.ofWorkers(directory)
    if let hosts { return SSHLauncher(hosts, job, keys: keys, logsIn: directory) }
    guard let cluster, let program, let place = plan?.places.first else {
      return ManualLauncher(options: security.workerOptions)
    }
    if cluster.engine == .slurm {
      return SlurmLauncher(
        program: program, place, cluster, keys: keys, jobDirectory: directory.path, logDirectory: directory.logPath)
    }
    return LocalLauncher(program: program, place, cluster, keys: keys, logsIn: directory)
  }
}
