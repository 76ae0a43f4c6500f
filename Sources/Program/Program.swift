import ArgumentParser
import Foundation
import Mapping

/// A program of this package: whatever goes wrong becomes one line on standard error, where that takes it, and an exit code of
/// sysexits.h.
public protocol Program: AsyncParsableCommand {
  /// 64 usage, 65 bad input, 70 internal, 74 I/O, 75 try again; nil for errors that are not the package's own.
  static func code(of error: any Error) -> Int32?
  /// Writes a line to standard error before the process ends.
  static func report(_ line: String)
}

extension Program {
  public static func report(_ line: String) {
    try? FileHandle.standardError.write(contentsOf: Data("\(line)\n".utf8))
  }

  public static func main() async {
    openStandardStreams()
    // Who writes into a pipe that nobody reads is told so, and may go on.
    signal(SIGPIPE, SIG_IGN)
    // Ctrl-\ is to end the process at once. To Swift's runtime it is a crash, and takes minutes to be looked into.
    if !isIgnored(SIGQUIT) { signal(SIGQUIT, SIG_DFL) }
    raiseFileLimit()
    FileMapping.endProcess(name, status: EX_IOERR)
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      // What was printed without asking where it went.
      if fflush(nil) != 0 { fail("standard output: \(String(cString: strerror(errno)))", EX_IOERR) }
    } catch {
      fail(error)
    }
  }

  /// The next file that is opened would take the place of a standard stream that is closed, and get what people are told. The
  /// null device takes it, for reading: what is written there is an error, as before.
  private static func openStandardStreams() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest one that is free: those before are open.
      _ = open("/dev/null", O_RDONLY)
    }
  }

  /// A connection takes a descriptor, be it only of somebody who is not let in, and the usual limit is a thousand.
  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else {
      return
    }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  private static var name: String { configuration.commandName ?? "crvq" }

  private static func fail(_ error: any Error) -> Never {
    if let code = code(of: error) { fail("\(error)", code) }
    let parserCode = exitCode(for: error)
    // Help and version are asked for: the argument parser prints them.
    if parserCode == .success { exit(withError: error) }
    if parserCode != .validationFailure { fail(message(for: error), EX_SOFTWARE) }
    let words = RefusedWords(Self.self, Array(ProcessInfo.processInfo.arguments.dropFirst()))
    fail(words.account(message(for: error)), EX_USAGE)
  }

  private static func fail(_ message: String, _ code: Int32) -> Never {
    report("\(name): \(line(message))")
    Foundation.exit(code)
  }

  /// As one line that a terminal shows as it is: the names of tensors, say, come from files, and may hold anything.
  private static func line(_ message: String) -> String {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    var printable = ""
    for scalar in line.unicodeScalars {
      if scalar.properties.generalCategory == .control {
        printable += scalar.escaped(asASCII: true)
      } else {
        printable.unicodeScalars.append(scalar)
      }
    }
    return printable
  }
}
