import ArgumentParser
import Foundation

/// A program of this package: whatever goes wrong becomes one line on standard error and an exit code of sysexits.h.
public protocol Program: AsyncParsableCommand {
  /// 64 usage, 65 bad input, 70 internal, 74 I/O, 75 try again; nil for errors that are not the package's own.
  static func code(of error: any Error) -> Int32?
}

extension Program {
  public static func main() async {
    raiseFileLimit()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      fail(error)
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

  private static func fail(_ error: any Error) -> Never {
    if let code = code(of: error) { fail("\(error)", code) }
    let parserCode = exitCode(for: error)
    // Help and version are asked for: the argument parser prints them.
    if parserCode == .success { exit(withError: error) }
    fail(message(for: error), parserCode == .validationFailure ? EX_USAGE : EX_SOFTWARE)
  }

  private static func fail(_ message: String, _ code: Int32) -> Never {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    try? FileHandle.standardError.write(contentsOf: Data("\(configuration.commandName ?? "crvq"): \(line)\n".utf8))
    Foundation.exit(code)
  }
}
