import Coordinator
import Foundation
import Messaging
import Numerics

/// What `launch` and `resume` have decided about workers before a job is touched: that the plan fits, and how the two sides meet.
struct Launch {
  /// nil for workers that are started by hand.
  let plan: LaunchPlan?
  let cluster: ClusterFile?
  let endpoint: String
  let isInsecure: Bool

  /// - Throws: ``CoordinatorError`` for a cluster file with a mistake, or a plan that cannot fit.
  init(_ options: LauncherOptions, _ job: JobShape) throws {
    cluster = try options.settings()
    isInsecure = options.insecure
    keys = cluster?.keys ?? options.keys.map(absolute)
    endpoint = try Self.endpoint(options, cluster)
    switch cluster?.engine {
    case .local?: plan = try LaunchPlan(local: cluster ?? ClusterFile(engine: .local), machine: .local, job: job)
    case .slurm?: plan = try LaunchPlan(slurm: cluster ?? ClusterFile(engine: .slurm), job: job)
    case .ssh?: throw Self.later
    case nil: plan = nil
    }
  }

  private let keys: String?

  private static let later = CoordinatorError.usage(
    "this engine comes in a later release; use --launcher none and start crvq-worker by hand")

  private static func endpoint(_ options: LauncherOptions, _ cluster: ClusterFile?) throws -> String {
    if let bind = options.bind { return bind }
    guard let cluster else { return "tcp://127.0.0.1:7711" }
    if let interface = cluster.interface {
      return "tcp://\(try NetworkInterface.address(of: interface)):*"
    }
    return cluster.engine == .local ? "tcp://127.0.0.1:*" : "tcp://0.0.0.0:*"
  }

  /// How coordinator and workers know each other. Before anything is made, so that keys that cannot be used stop a job early.
  ///
  /// - Throws: ``KeyError``.
  func security() throws -> SocketSecurity {
    guard let keys else { return isInsecure ? .insecure : .plain }
    let directory = KeyDirectory(keys)
    // The workers of this machine find theirs in the same place.
    if cluster != nil { _ = try directory.credentials(of: .worker(name: "")) }
    return .curve(try directory.credentials(of: .coordinator))
  }

  /// What has to be repeated, for people, when the job is resumed or a worker is started by hand.
  var workerOptions: String {
    if let keys { return " --keys \(keys)" }
    return isInsecure ? " --insecure" : ""
  }

  func launcher(logDirectory: String) throws -> any WorkerLauncher {
    guard let cluster, let plan, let place = plan.places.first else { return ManualLauncher(options: workerOptions) }
    guard cluster.engine == .local else { throw Self.later }
    let keys = keys.map { WorkerKeys.directory($0) } ?? (isInsecure ? .insecure : .none)
    return LocalLauncher(
      program: try cluster.program ?? LocalLauncher.findProgram(), place, cluster, keys: keys,
      logDirectory: logDirectory)
  }
}

/// What `--dry-run` prints.
struct DryRun: Encodable {
  struct Place: Encodable {
    let name: String
    let workers, threads, slots: Int
    let memoryBytes: UInt64?
    let needBytes: UInt64
    let largestTask: String
  }

  let engine: String
  let workers: Int
  let places: [Place]
  /// By this machine's speed.
  let estimatedSeconds: Double
  let gigaflopsPerThread: Double

  init(_ plan: LaunchPlan, _ job: JobShape) {
    engine = plan.engine.rawValue
    workers = plan.workers
    places = plan.places.map {
      Place(
        name: $0.name, workers: $0.workers, threads: $0.threads, slots: $0.slots, memoryBytes: $0.memory?.bytes,
        needBytes: $0.need.total.bytes, largestTask: $0.need.largest.name)
    }
    let speed = TimeEstimate.measuredSpeed(threads: ThreadTeam.availableProcessors)
    let threads = plan.places.reduce(0) { $0 + $1.workers * $1.threads }
    gigaflopsPerThread = speed / 1e9
    estimatedSeconds = TimeEstimate(job).seconds(threads: threads, operationsPerSecond: speed)
  }
}
