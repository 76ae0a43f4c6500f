import CRVQ
import Checkpoint
import Coordinator
import Foundation
import Messaging
import Transformer

extension CoordinatorProgram {
  /// Behind all that has been said before, and not for ever where nobody reads.
  static func report(_ line: String) { StandardError.write(line + "\n") }

  static func code(of error: any Error) -> Int32? {
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
