import Foundation
import Synchronization

/// A command of the system that ends by itself soon: ssh with a question, sbatch, squeue, scancel.
struct ShortProcess: Sendable {
  let end: ProcessEnd
  let output: String
  /// The last line of standard error that is not empty.
  let lastError: String?

  /// Runs a program that is found on the path, and waits for it.
  ///
  /// - Parameters:
  ///   - environment: variables besides those of this process, or in their place.
  ///   - input: what it reads; nil for nothing.
  ///   - patience: seconds until it is killed.
  ///   - outputMax: bytes of output that are kept.
  /// - Throws: ``CoordinatorError`` if there is no such program or it cannot be started.
  static func run(
    _ name: String, _ arguments: [String], environment: [String: String] = [:], input: FileHandle? = nil,
    within patience: Double, outputMax: Int = 1 << 22
  ) throws -> ShortProcess {
    let (output, error) = (Pipe(), Pipe())
    let process = try ChildProcess(
      ChildProcess.Start(
        executable: try ProgramPath.require(name), arguments: arguments,
        environment: ProcessInfo.processInfo.environment.merging(environment) { $1 }, input: input,
        output: output.fileHandleForWriting,
        error: error.fileHandleForWriting))
    try? output.fileHandleForWriting.close()
    try? error.fileHandleForWriting.close()
    let outputText = Reading(output.fileHandleForReading, limit: outputMax)
    let errorText = Reading(error.fileHandleForReading, limit: outputMax)
    let (end, isLate) = process.waitUntilExit(orKillAt: .now + .seconds(patience))
    let lastLine = errorText.text.split(whereSeparator: \.isNewline).last { !$0.allSatisfy(\.isWhitespace) }
    return ShortProcess(
      end: end, output: outputText.text,
      lastError: isLate ? "no answer within \(patience.asTime)" : lastLine.map(String.init))
  }

  /// Drains a pipe on a thread of its own, so that a process that says much does not wait for its reader.
  private final class Reading: Sendable {
    private let bytes = Mutex(Data())
    private let group = DispatchGroup()

    init(_ file: FileHandle, limit: Int) {
      group.enter()
      let thread = Thread { [self] in
        while let chunk = try? file.read(upToCount: 1 << 16), !chunk.isEmpty {
          bytes.withLock { if $0.count < limit { $0.append(chunk.prefix(limit - $0.count)) } }
        }
        group.leave()
      }
      thread.name = "pipe"
      thread.start()
    }

    /// Waits a moment for the end: a grandchild may keep the pipe open.
    var text: String {
      _ = group.wait(timeout: .now() + 1)
      return bytes.withLock { String(decoding: $0, as: UTF8.self) }
    }
  }
}
