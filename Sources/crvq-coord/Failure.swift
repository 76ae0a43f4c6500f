import ArgumentParser
import CRVQ
import Checkpoint
import Coordinator
import Foundation
import Messaging
import Transformer

/// How errors become one line and an exit code of sysexits.h.
enum Failure {
  /// Prints the error as one line on standard error and ends the process.
  static func exit(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
    if let code = code(of: error) { exit("\(error)", code) }
    let parserCode = command.exitCode(for: error)
    // Help and version are asked for: the argument parser prints them.
    if parserCode == .success { command.exit(withError: error) }
    exit(command.message(for: error), parserCode == .validationFailure ? EX_USAGE : EX_SOFTWARE)
  }

  private static func exit(_ message: String, _ code: Int32) -> Never {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    FileHandle.standardError.write(Data("crvq-coord: \(line)\n".utf8))
    Foundation.exit(code)
  }

  /// 64 usage, 65 bad input, 70 internal, 74 I/O, 75 try again; nil for errors that are not ours.
  private static func code(of error: any Error) -> Int32? {
    switch error {
    case let error as CoordinatorError: return error.exitCode
    case let error as CheckpointError: return error.kind == .io ? EX_IOERR : EX_DATAERR
    case let error as CRVQError: return error.kind == .option ? EX_USAGE : EX_DATAERR
    case is TransformerError: return EX_DATAERR
    case is ArtifactError: return EX_IOERR
    case is MessagingError: return EX_IOERR
    case let error as KeyError:
      switch error.kind {
      case .usage: return EX_USAGE
      case .unusable: return EX_DATAERR
      case .io: return EX_IOERR
      }
    default: return nil
    }
  }
}
