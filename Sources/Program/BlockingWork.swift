import Foundation
import UnixSignals

/// Runs what blocks on a thread of its own, away from the cooperative pool.
///
/// - Parameter stop: called from another thread at the first SIGINT or SIGTERM; a second one ends the process at once, with 75.
public func runBlocking<Result: Sendable>(
  thread name: String, stop: @escaping @Sendable (UnixSignal) -> Void,
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  let signals = Task {
    var count = 0
    for await signal in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
      count += 1
      if count > 1 { _exit(75) }
      stop(signal)
    }
  }
  defer { signals.cancel() }
  return try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
    thread.name = name
    thread.start()
  }
}
