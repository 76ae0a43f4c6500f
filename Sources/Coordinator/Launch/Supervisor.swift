import Foundation
import Messaging
import Synchronization

/// Worker processes started by this one, each started again when it ends, as ``RestartPolicy`` says.
final class Supervisor: Sendable {
  /// One worker's place, filled again when it is empty.
  struct Post: Sendable {
    /// The worker's name.
    let worker: String
    let executable: String
    let arguments: [String]
    let environment: [String: String]
    /// Written to its standard input, which then stays open until the process is to end; nil for no input.
    var input: [UInt8]? = nil
    /// Where its standard error goes.
    let log: String
    /// Whether the log is still there when the job has ended.
    var isLogKept = true
    /// What it needs and may use.
    let place: LaunchPlan.Place
    /// The last line of the log of a process that died of it elsewhere; nil for processes of this machine.
    var outOfMemoryLine: String? = nil

    /// Whether what runs here is a connection to a machine that has been reached before, and the worker there.
    var isRemote: Bool { outOfMemoryLine != nil }
  }

  private static let stopPatience = Duration.seconds(10)
  /// In a line of a worker's log that tells of nothing wrong.
  private static let inPassing = " info \(WorkerCommand.programName)"
  /// Of a log, as much as is searched for a last line.
  private static let logTail: UInt64 = 4096

  /// A process and the end of its input.
  private struct Life: Sendable {
    let process: ChildProcess
    let input: InputPair?
    let started = ContinuousClock.now
  }

  private struct State {
    var running: [String: Life] = [:]
    /// Posts that are filled or will be filled again.
    var supervised = 0
    var isStopping = false
  }

  private let state = Mutex(State())
  private let memory: OutOfMemoryWatch

  init(memory: OutOfMemoryWatch = OutOfMemoryWatch()) { self.memory = memory }

  /// A place for workers that are not there yet: until ``expectNoMore(_:report:)`` not all hope is lost.
  func expect() { state.withLock { $0.supervised += 1 } }

  /// Takes ``expect()`` back.
  ///
  /// - Parameter reason: why, if it was in vain.
  func expectNoMore(_ reason: String?, report: @Sendable (LauncherEvent) -> Void) {
    let left = state.withLock { state in
      state.supervised -= 1
      return state.supervised
    }
    if let reason { report(left == 0 ? .exhausted(reason) : .note(reason)) }
  }

  /// Fills the posts, on a thread each.
  func supervise(_ posts: [Post], report: @escaping @Sendable (LauncherEvent) -> Void) {
    state.withLock { $0.supervised += posts.count }
    for post in posts {
      let thread = Thread { [self] in
        let reason = supervise(post, report)
        expectNoMore(reason, report: report)
      }
      thread.name = "launch-\(post.worker)"
      thread.start()
    }
  }

  /// One worker's life after another.
  ///
  /// - Returns: why it is not started again; nil when the launcher was told to stop.
  private func supervise(_ post: Post, _ report: @Sendable (LauncherEvent) -> Void) -> String? {
    var policy = RestartPolicy(outlastsOutages: post.isRemote)
    var lastAccount: String?
    while true {
      let started = ContinuousClock.now
      let logStart = size(of: post.log)
      let end: ProcessEnd
      do {
        guard let life = try run(post) else { return nil }
        end = life.process.waitUntilExit()
      } catch {
        return "worker \(post.worker): \(error)"
      }
      let isStopping = state.withLock { state in
        state.running[post.worker] = nil
        return state.isStopping
      }
      if isStopping { return nil }
      let lastLine = lastLine(of: post.log, from: logStart)
      // A program that gave up said why; one that was killed did not expect it, and what it told in passing is no reason.
      let lastWords = end.isKill ? nil : lastLine.flatMap { $0.contains(Self.inPassing) ? nil : $0 }
      let isOutOfMemory = post.outOfMemoryLine.map { end.isKill && $0 == lastLine } ?? memory.explains(end)
      if isOutOfMemory { report(.outOfMemory(worker: post.worker, post.place)) }
      let account = "worker \(post.worker) \(end)" + (lastWords.map { ": \($0)" } ?? "")
      let lifetime = ContinuousClock.now - started
      // A machine that is away is named once, however often it is tried.
      let isKnown = end == .noConnection && lifetime <= RestartPolicy.steady && account == lastAccount
      lastAccount = account
      switch policy.ended(end, after: lifetime) {
      case .giveUp: return "\(account); it is not started again" + (post.isLogKept ? ", its log: \(post.log)" : "")
      case .restart(let pause):
        if !isKnown { report(.note("\(account); starting it again in \((pause / .seconds(1)).fixed(1)) s")) }
        Thread.sleep(forTimeInterval: pause / .seconds(1))
      }
    }
  }

  /// - Returns: nil if the launcher was told to stop.
  private func run(_ post: Post) throws -> Life? {
    let input = try post.input == nil ? nil : InputPair()
    let start = ChildProcess.Start(
      executable: post.executable, arguments: post.arguments, environment: post.environment,
      input: input?.processEnd, error: log(post.log))
    let life = try state.withLock { state -> Life? in
      if state.isStopping { return nil }
      let life = Life(process: try ChildProcess(start), input: input)
      state.running[post.worker] = life
      return life
    }
    guard let life else { return nil }
    input?.hold()
    // A process that is gone already is noticed by its end.
    if let bytes = post.input { input?.send(bytes) }
    return life
  }

  /// Kills the process at the post of a worker, if it was started before `time`; the post is filled again.
  ///
  /// - Returns: whether there is such a process.
  func end(worker: String, startedBefore time: ContinuousClock.Instant) -> Bool {
    guard let life = state.withLock({ $0.running[worker] }), life.started < time else { return false }
    life.process.send(SIGKILL)
    return true
  }

  /// Fills no post again from now on.
  func retire() { state.withLock { $0.isStopping = true } }

  /// Ends the processes and waits for them, for a bounded time.
  func stop() {
    let running = state.withLock { state in
      state.isStopping = true
      return Array(state.running.values)
    }
    for life in running {
      if let input = life.input {
        // A worker at the other end of a connection takes this as its end, and has time for it.
        input.close()
      } else {
        life.process.send(SIGTERM)
      }
    }
    let deadline = ContinuousClock.now + Self.stopPatience
    while running.contains(where: \.process.isRunning), ContinuousClock.now < deadline {
      Thread.sleep(forTimeInterval: 0.05)
    }
    for life in running { life.process.send(SIGKILL) }
  }

  // MARK: logs

  /// Appended to, so that the log of a worker that died is still there.
  ///
  /// - Returns: nil if it cannot be written: the worker goes without.
  private func log(_ path: String) -> FileHandle? {
    _ = try? Directory.make(Directory.parent(of: path))
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    return descriptor < 0 ? nil : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  private func size(of path: String) -> UInt64 {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(max(0, status.st_size)) : 0
  }

  /// The last line that a life has left in its log.
  private func lastLine(of path: String, from start: UInt64) -> String? {
    guard let file = FileHandle(forReadingAtPath: path) else { return nil }
    defer { try? file.close() }
    let end = size(of: path)
    guard end > start, (try? file.seek(toOffset: max(start, end - min(end, Self.logTail)))) != nil else { return nil }
    let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).last { !$0.allSatisfy(\.isWhitespace) }.map(String.init)
  }
}
