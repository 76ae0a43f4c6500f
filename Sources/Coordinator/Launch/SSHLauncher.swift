import Foundation
import Machines
import Messaging
import Synchronization

/// Workers on machines that ssh reaches. A connection a worker: it brings the keys, and when it is gone the worker ends.
///
/// A host that is out of reach is tried again now and then, for as long as the job runs if it has been reached before, and does
/// not stop the others.
public final class SSHLauncher: WorkerLauncher {
  private let hosts: SSHHosts
  private let job: JobShape
  private let keys: WorkerKeys
  private let directory: JobDirectory
  private let supervisor = Supervisor()
  private let isStopping = Mutex(false)

  /// - Parameters:
  ///   - keys: a directory on this machine, whose keys are sent to each worker over its connection.
  ///   - directory: where the workers' logs go, on this machine.
  public init(_ hosts: SSHHosts, _ job: JobShape, keys: WorkerKeys, logsIn directory: JobDirectory) {
    self.hosts = hosts
    self.job = job
    self.keys = keys
    self.directory = directory
  }

  public func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws {
    for host in hosts.cluster.hosts {
      supervisor.expect()
      let thread = Thread { [self] in
        let reason = open(host, endpoint, report)
        supervisor.expectNoMore(reason, report: report)
      }
      thread.name = "ssh-\(host.name)"
      thread.start()
    }
  }

  /// Starts the workers of a host, tried again as long as it is worth it.
  ///
  /// - Returns: why the host is given up; nil if its workers are supervised.
  private func open(
    _ host: ClusterFile.Host, _ endpoint: String, _ report: @escaping @Sendable (LauncherEvent) -> Void
  ) -> String? {
    var policy = RestartPolicy()
    var lastNote: String?
    while true {
      var isReached = false
      do {
        let probe = try hosts.ask(host)
        isReached = true
        policy.outlastsOutages = true
        supervisor.supervise(try posts(on: host, probe, endpoint), report: report)
        return nil
      } catch {
        if isStopping.withLock({ $0 }) { return nil }
        let isHopeless = (error as? CoordinatorError)?.exitCode == EX_USAGE
        let end: ProcessEnd = isHopeless ? .exited(EX_USAGE) : isReached ? .exited(EX_IOERR) : .noConnection
        guard case .restart(let pause) = policy.ended(end, after: .zero) else {
          return "\(error); no worker is started there"
        }
        // Said once, however often it happens.
        let note = "\(error); trying again"
        if note != lastNote { report(.note(note)) }
        lastNote = note
        Thread.sleep(forTimeInterval: pause / .seconds(1))
        if isStopping.withLock({ $0 }) { return nil }
      }
    }
  }

  private func posts(
    on host: ClusterFile.Host, _ probe: HostProbe, _ endpoint: String
  ) throws -> [Supervisor.Post] {
    let cluster = hosts.cluster
    let machine = Machine(name: host.name, cores: probe.cores, memory: probe.memory)
    let plan = try LaunchPlan(ssh: cluster, machines: [machine], job: job)
    guard let place = plan.places.first else { return [] }
    let program = try hosts.program(on: host, probe)
    let ssh = SSHCommand(host: host.name, options: cluster.options)
    let executable = try ProgramPath.require("ssh")
    return try (1...place.workers).map { index in
      let name = Self.workerName(host.name, index)
      var command = WorkerCommand(name, place, cluster, keys: .none)
      var input: [UInt8] = []
      switch keys {
      case .none: break
      case .insecure: command.keys = .insecure
      case .directory(let path):
        command.keys = .standardInput
        input = Array(try KeyDirectory(path).bundle(forWorker: name).text.utf8)
      }
      let words =
        ["env"] + cluster.environmentWords + [program] + command.arguments(connecting: endpoint) + ["--ends-with-input"]
      return Supervisor.Post(
        worker: name, executable: executable, arguments: ssh.arguments(script: RemoteWorker.run, words),
        environment: ProcessInfo.processInfo.environment, input: input, log: "\(directory.logPath)/\(name).log",
        isLogKept: !directory.isTemporary, place: place, outOfMemoryLine: RemoteWorker.outOfMemory)
    }
  }

  /// A name for logs and files: the host's with what has no place there replaced.
  static func workerName(_ host: String, _ index: Int) -> String {
    let kept = host.unicodeScalars.map { scalar in
      scalar.isASCII
        && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
          || "-._".unicodeScalars.contains(scalar))
        ? Character(scalar) : "_"
    }
    return "\(String(kept.prefix(80)))-\(index)"
  }

  public func retire() {
    isStopping.withLock { $0 = true }
    supervisor.retire()
  }

  public func stop() {
    retire()
    supervisor.stop()
  }
}
