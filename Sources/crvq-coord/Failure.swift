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
    guard let code = code(of: error) else {
      // Help, version and usage errors are the argument parser's to print.
      command.exit(withError: error)
    }
    FileHandle.standardError.write(Data("crvq-coord: \(error)\n".utf8))
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
    default: return nil
    }
  }
}
