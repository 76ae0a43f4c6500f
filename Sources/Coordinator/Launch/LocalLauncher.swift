import Foundation
import Synchronization

/// Worker processes on this machine, started again when they die, with a pause that doubles, up to a limit.
public final class LocalLauncher: WorkerLauncher {
  /// What each worker process is started with.
  public struct Configuration: Sendable {
    public var executable: String
    public var workers: Int
    /// Threads of each worker.
    public var threads: Int
    /// Where the workers' logs go.
    public var logDirectory: String
    /// Further options of each.
    public var options: [String]

    public init(executable: String, workers: Int, threads: Int, logDirectory: String, options: [String] = []) {
      self.executable = executable
      self.workers = workers
      self.threads = threads
      self.logDirectory = logDirectory
      self.options = options
    }
  }

  /// A worker that dies more often than this stays dead.
  static let restartsMax = 20
  /// A worker that lived this long has its pause start over.
  static let steadySeconds = 60.0
  private static let stopSeconds = 10.0
  private static let shortestPause = 0.5
  private static let longestPause = 30.0

  private struct State {
    var running: [Int: Process] = [:]
    /// Workers that are running or will be started again.
    var supervised = 0
    var isStopping = false
  }

  private let configuration: Configuration
  private let state = Mutex(State())

  public init(_ configuration: Configuration) { self.configuration = configuration }

  /// The worker program: beside this one, else on the path.
  ///
  /// - Throws: ``CoordinatorError`` if it is in neither place.
  public static func findExecutable() throws -> String {
    let name = "crvq-worker"
    var candidates: [String] = []
    if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
      candidates.append((own as NSString).deletingLastPathComponent + "/\(name)")
    }
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    candidates += path.split(separator: ":").map { "\($0)/\(name)" }
    guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw CoordinatorError.usage("\(name): not beside crvq-coord and not on the PATH; build or install it")
    }
    return found
  }

  public func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws {
    state.withLock { $0.supervised = configuration.workers }
    for index in 0..<configuration.workers {
      let thread = Thread { [self] in
        guard let reason = supervise(index, endpoint, report) else { return }
        let left = state.withLock { state in
          state.supervised -= 1
          return state.supervised
        }
        report(left == 0 ? .exhausted(reason) : .note(reason))
      }
      thread.name = "launch-\(index)"
      thread.start()
    }
  }

  /// One worker's life after another.
  ///
  /// - Returns: why it is not started again; nil when the launcher was told to stop.
  private func supervise(
    _ index: Int, _ endpoint: String, _ report: @Sendable (LauncherEvent) -> Void
  ) -> String? {
    let name = "worker \(index + 1)"
    var deaths = 0
    var pause = Self.shortestPause
    while true {
      let process = process(index, endpoint)
      let started = Date()
      do {
        guard try run(process, index) else { return nil }
      } catch {
        return "\(name): cannot start \(configuration.executable): \(error.localizedDescription)"
      }
      process.waitUntilExit()
      let isStopping = state.withLock { state in
        state.running[index] = nil
        return state.isStopping
      }
      if isStopping { return nil }
      deaths += 1
      if Self.isHopeless(process) || deaths > Self.restartsMax {
        return "\(name) \(Self.cause(process)) and is not started again; its log: \(logPath(index))"
      }
      if -started.timeIntervalSinceNow > Self.steadySeconds { pause = Self.shortestPause }
      report(.note("\(name) \(Self.cause(process)); starting it again in \(pause.fixed(1)) s"))
      Thread.sleep(forTimeInterval: pause)
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// - Returns: false if the launcher was told to stop.
  private func run(_ process: Process, _ index: Int) throws -> Bool {
    try state.withLock { state in
      if state.isStopping { return false }
      try process.run()
      state.running[index] = process
      return true
    }
  }

  /// Whether the next life would end the same way: wrong options, or a job this program cannot serve.
  private static func isHopeless(_ process: Process) -> Bool {
    process.terminationReason == .exit
      && (process.terminationStatus == EX_USAGE || process.terminationStatus == EX_DATAERR)
  }

  private func process(_ index: Int, _ endpoint: String) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: configuration.executable)
    let threads = "\(configuration.threads)"
    process.arguments =
      ["--connect", endpoint, "--threads", threads, "--name", "local-\(index + 1)"] + configuration.options
    var environment = ProcessInfo.processInfo.environment
    // A worker of a coordinator that is killed ends with it.
    environment["CRVQ_PARENT_PID"] = "\(ProcessInfo.processInfo.processIdentifier)"
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = log(index)
    return process
  }

  private func logPath(_ index: Int) -> String { "\(configuration.logDirectory)/worker-\(index + 1).log" }

  /// Appended to, so that the log of a worker that died is still there.
  private func log(_ index: Int) -> FileHandle {
    let path = logPath(index)
    try? FileManager.default.createDirectory(atPath: configuration.logDirectory, withIntermediateDirectories: true)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    return descriptor < 0 ? .nullDevice : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  private static func cause(_ process: Process) -> String {
    process.terminationReason == .uncaughtSignal
      ? "was killed by signal \(process.terminationStatus)" : "ended with status \(process.terminationStatus)"
  }

  public func stop() {
    let running = state.withLock { state in
      state.isStopping = true
      return Array(state.running.values)
    }
    for process in running where process.isRunning { process.terminate() }
    let deadline = Date(timeIntervalSinceNow: Self.stopSeconds)
    while running.contains(where: \.isRunning), Date() < deadline { Thread.sleep(forTimeInterval: 0.05) }
    for process in running where process.isRunning { kill(process.processIdentifier, SIGKILL) }
  }
}
