import CSpawn
import Foundation
import Synchronization

/// A process that this one has started. Whoever has it waits for its end on a thread of their own.
///
/// Not Foundation's `Process`, which takes the closing of a descriptor that its child inherits for the child's end, and then waits
/// for the child on the one thread that it has for all. ssh closes at its start whatever it inherits, so that as long as one ssh
/// lived, no other child's end was noticed.
package final class ChildProcess: Sendable {
  /// What a process is started with.
  package struct Start {
    /// A path; the system's search path is not looked at.
    package var executable: String
    /// The words after the program's name.
    package var arguments: [String]
    package var environment: [String: String]
    /// Its standard input, output and error; nil for the null device. They stay the caller's.
    package var input: FileHandle?
    package var output: FileHandle?
    package var error: FileHandle?

    package init(
      executable: String, arguments: [String], environment: [String: String] = [:], input: FileHandle? = nil,
      output: FileHandle? = nil, error: FileHandle? = nil
    ) {
      self.executable = executable
      self.arguments = arguments
      self.environment = environment
      self.input = input
      self.output = output
      self.error = error
    }
  }

  private enum State {
    case running
    case ended(ProcessEnd)
  }

  private let pid: pid_t
  /// Held while the process is signalled or reaped: after that its number may be another's.
  private let state = Mutex(State.running)

  /// Starts a process in a group of its own: what a terminal sends to this one's group is not for it.
  ///
  /// - Throws: ``CoordinatorError`` if it cannot be started.
  package init(_ start: Start) throws {
    var (actions, attributes) = (posix_spawn_file_actions_t(), posix_spawnattr_t())
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    let files = [start.input, start.output, start.error]
    for (number, file) in files.enumerated() {
      if let file {
        posix_spawn_file_actions_adddup2(&actions, file.fileDescriptor, Int32(number))
      } else {
        posix_spawn_file_actions_addopen(&actions, Int32(number), "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0)
      }
    }
    crvq_spawn_close_from(&actions, STDERR_FILENO + 1)
    // Signals that this process ignores or holds back mean to a child what they mean to any program.
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let words = [start.executable] + start.arguments
    let settings = start.environment.map { "\($0.key)=\($0.value)" }
    var pid: pid_t = 0
    let code = withCStrings(words) { words in
      withCStrings(settings) { settings in
        // A handle without an owner closes its descriptor.
        withExtendedLifetime(files) {
          posix_spawn(&pid, start.executable, &actions, &attributes, words, settings)
        }
      }
    }
    guard code == 0 else {
      throw CoordinatorError.io("\(start.executable): cannot be started: \(String(cString: strerror(code)))")
    }
    self.pid = pid
  }

  /// Waits for the process to end.
  @discardableResult
  package func waitUntilExit() -> ProcessEnd {
    // Without reaping it, so that nobody has to hold the lock for so long.
    var information = siginfo_t()
    while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    return state.withLock { Self.reap(pid, &$0, options: 0) ?? .unknown }
  }

  /// Waits for the process to end, and kills it at the deadline.
  ///
  /// - Returns: its end, and whether that was the deadline's.
  package func waitUntilExit(orKillAt deadline: ContinuousClock.Instant) -> (end: ProcessEnd, isLate: Bool) {
    while isRunning, .now < deadline { Thread.sleep(forTimeInterval: 0.02) }
    let isLate = isRunning
    if isLate { send(SIGKILL) }
    return (waitUntilExit(), isLate)
  }

  package var isRunning: Bool { state.withLock { Self.reap(pid, &$0, options: WNOHANG) == nil } }

  /// Does nothing to a process that has ended.
  package func send(_ signal: Int32) {
    state.withLock { state in
      if Self.reap(pid, &state, options: WNOHANG) == nil { _ = kill(pid, signal) }
    }
  }

  /// - Returns: how the process ended; nil while it runs.
  private static func reap(_ pid: pid_t, _ state: inout State, options: Int32) -> ProcessEnd? {
    if case .ended(let end) = state { return end }
    var status: Int32 = 0
    var reaped: pid_t
    repeat { reaped = waitpid(pid, &status, options) } while reaped < 0 && errno == EINTR
    if reaped == 0 { return nil }
    // Without a child to wait for: somebody has this process ignore the ends of its children, and how it ended is not kept.
    let end = reaped == pid ? ProcessEnd(waitStatus: status) : .unknown
    state = .ended(end)
    return end
  }
}

/// Calls `body` with the strings as C has lists of them: pointers, and nil at the end.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) throws -> Result
) rethrows -> Result {
  let copies = strings.map { strdup($0) } + [nil]
  defer { for copy in copies { free(copy) } }
  return try copies.withUnsafeBufferPointer { buffer in
    // Never empty: nil is always there.
    try body(buffer.baseAddress.unsafelyUnwrapped)
  }
}
