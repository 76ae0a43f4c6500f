import Messaging

/// Why a worker gives a task up.
package enum TaskError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The model, tokens or options are at fault: the same on every worker.
  case badInput(String)
  /// An input could not be had from any holder.
  case missing(Digest, holder: String, reason: String)
  /// The coordinator took the task back, or the process is stopping.
  case cancelled
  /// Anything that may go better elsewhere.
  case other(String)

  package var description: String {
    switch self {
    case .badInput(let text), .other(let text): text
    case .missing(let digest, let holder, let reason): "artifact \(digest.short) from \(holder): \(reason)"
    case .cancelled: "cancelled"
    }
  }
}
