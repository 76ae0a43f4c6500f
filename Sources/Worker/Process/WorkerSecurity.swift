import Foundation
import Messaging

extension WorkerOptions {
  /// In place of a directory of keys: they come over standard input, as a ``KeyBundle``.
  static let standardInput = "-"

  /// How this worker and its job know each other.
  ///
  /// - Throws: ``WorkerError`` for keys that cannot be used, or where there must be some.
  func security() throws(WorkerError) -> SocketSecurity {
    if let keys {
      do throws(KeyError) {
        if keys == Self.standardInput {
          return .curve(try KeyBundle(reading: STDIN_FILENO, name: "standard input").credentials)
        }
        return .curve(try KeyDirectory(keys).credentials(of: .worker(name: name)))
      } catch { throw error.kind == .io ? .io("\(error)") : .badInput("\(error)") }
    }
    if isInsecure { return .insecure }
    let coordinator: Endpoint
    do { coordinator = try Endpoint(endpoint) } catch { throw .usage("\(error)") }
    // It would tell this worker which files to read, and anyone could fetch what it makes.
    if !coordinator.isLoopback { throw .usage("--connect \(MessagingError.unprotected(endpoint))") }
    return .plain
  }
}
