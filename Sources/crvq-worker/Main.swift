import ArgumentParser
import Foundation
import Logging
import Machines
import Messaging
import Numerics
import Program
import Worker

/// The worker's program: connects to a coordinator and does its tasks.
@main
struct WorkerProgram: Program {
  static let configuration = CommandConfiguration(
    commandName: "crvq-worker",
    abstract: "Do the tasks of a crvq-coord job: collect, fit, tune, distill, verify, evaluate.",
    version: Release.description)

  @Option(help: "The coordinator's endpoint: tcp://HOST:PORT.")
  var connect: String?

  @Option(
    help: ArgumentHelp("The job's keys, made by crvq-coord keygen; - reads them from standard input.", valueName: "dir")
  )
  var keys: String?

  @Flag(help: "Trust a coordinator on another machine, and everyone between, without keys.")
  var insecure = false

  @Option(help: "Threads, over all slots (default: all cores).")
  var threads: Int?

  @Option(help: "Tasks at a time, at most as many as threads.")
  var slots = 1

  @Option(help: "Where to keep what tasks make, for the job's next worker too (default: the temporary directory).")
  var cache: String?

  @Option(help: "Disk space for inputs of tasks that were fetched and may be needed again, such as 4G (default: 1G).")
  var copies: String?

  @Option(
    help: """
      Memory that tasks may use, such as 16G (default: all, or the limit of the control group): what the coordinator is told, not a \
      limit.
      """)
  var memory: String?

  @Option(help: "What to be called in logs and reports (default: host and process).")
  var name: String?

  @Option(help: "Seconds to wait for a coordinator that says nothing.")
  var patience = Int(WorkerOptions.usualPatience / .seconds(1))

  @Flag(help: "End when standard input does: for a worker that is started over a connection.")
  var endsWithInput = false

  @Option(
    help: ArgumentHelp(
      "Leave in good order before this time, in seconds since 1970 (default: SLURM_JOB_END_TIME).", valueName: "time"))
  var endsAt: Int?

  @Option(
    help: ArgumentHelp(
      """
      Measure for so long how fast this machine multiplies matrices, and end. Prints crvq-speed-1, the threads, and \
      the floating-point operations a second of each.
      """, valueName: "seconds"))
  var measure: Double?

  static func code(of error: any Error) -> Int32? { (error as? WorkerError)?.exitCode }

  func validate() throws {
    if (connect == nil) == (measure == nil) {
      throw ValidationError("expected --connect tcp://HOST:PORT, or --measure, and not both")
    }
    if let measure, !(measure > 0 && measure <= 3600) {
      throw ValidationError("--measure is \(measure), expected more than 0 and at most 3600")
    }
    if let connect { try Self.check(connect: connect) }
    if keys != nil, insecure { throw ValidationError("--insecure is for jobs without --keys") }
    for (option, path) in [("--keys", keys), ("--cache", cache)] where path?.isEmpty == true {
      throw ValidationError("\(option) is empty, expected a path")
    }
    if let name, !(1...WireLimit.name).contains(name.utf8.count) {
      throw ValidationError("--name has \(name.utf8.count) bytes, expected 1 to \(WireLimit.name)")
    }
    try checkNumbers()
  }

  private static func check(connect: String) throws {
    do throws(MessagingError) {
      if try Endpoint(connect).port == nil { throw .badEndpoint(connect, reason: "expected a port from 1 to 65535") }
    } catch { throw ValidationError("--connect \(error)") }
  }

  private func checkNumbers() throws {
    if !(1...WorkerOptions.patienceMax).contains(patience) {
      throw ValidationError("--patience is \(patience), expected 1 to \(WorkerOptions.patienceMax) seconds")
    }
    for (name, value) in [("--slots", slots), ("--threads", threads ?? 1)]
    where !(1...WorkerOptions.threadsMax).contains(value) {
      throw ValidationError("\(name) is \(value), expected at least 1 and at most \(WorkerOptions.threadsMax)")
    }
    // Each slot has a thread at least.
    if let threads, slots > threads {
      throw ValidationError("--slots is \(slots), expected at most as many as --threads, \(threads)")
    }
    let cores = ThreadTeam.availableProcessors
    if threads == nil, slots > cores {
      throw ValidationError("--slots is \(slots), expected at most as many as cores, \(cores), or as --threads says")
    }
    for (name, value) in [("--memory", memory), ("--copies", copies)] {
      if let value, ByteSize(value) == nil {
        throw ValidationError("\(name) is '\(value)', expected a number with K, M, G or T, such as 16G")
      }
    }
    if let memory, let size = ByteSize(memory), size.bytes < Self.memoryMin {
      throw ValidationError("--memory is '\(memory)', expected at least 1M, such as 16G")
    }
  }

  /// No task takes as little.
  private static let memoryMin: UInt64 = 1 << 20

  func run() async throws {
    guard let connect else {
      let threads = threads ?? ThreadTeam.availableProcessors
      return print(MatrixSpeed.measure(threads: threads, seconds: measure ?? MatrixSpeed.usualSeconds).line)
    }
    LoggingSystem.bootstrap { label in StreamLogHandler.standardError(label: label) }
    let parent = ProcessInfo.processInfo.environment["CRVQ_PARENT_PID"].flatMap { Int32($0) }
    var options = WorkerOptions(
      endpoint: connect, name: name, threads: threads, slots: slots, cacheDirectory: cache,
      memoryBytes: memory.flatMap { ByteSize($0)?.bytes }, copiesBytesMax: copies.flatMap { ByteSize($0)?.bytes },
      keys: keys, isInsecure: insecure, parent: parent)
    options.endsWithInput = endsWithInput
    options.patience = .seconds(patience)
    let allocationEnd = endsAt ?? ProcessInfo.processInfo.environment["SLURM_JOB_END_TIME"].flatMap { Int($0) }
    options.allocationEnd = allocationEnd.map { Date(timeIntervalSince1970: Double($0)) }
    let logger = Logger(label: "crvq-worker")
    let worker = try WorkerProcess(options, logger: logger)
    try await runBlocking(
      thread: "worker",
      stop: { signal in
        logger.info("\(signal): leaving; what is not done is given back")
        worker.stop("stopped by \(signal)")
      }
    ) { try worker.run() }
  }
}
