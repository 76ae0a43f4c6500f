import Foundation
import UnixSignals

/// Runs what blocks on a thread of its own, away from the cooperative pool.
///
/// - Parameter stop: called from another thread at the first SIGINT, SIGTERM or SIGHUP; a second SIGINT or SIGTERM ends the process
///   at once, with 75. SIGHUP does nothing where it was ignored from the start, as under nohup.
public func runBlocking<Result: Sendable>(
  thread name: String, stop: @escaping @Sendable (UnixSignal) -> Void,
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  let trapped: [UnixSignal] = [.sigint, .sigterm] + (isIgnored(SIGHUP) ? [] : [.sighup])
  let signals = Task {
    var isStopping = false
    var orders = 0
    for await signal in await UnixSignalsSequence(trapping: trapped) {
      // A session that ends may send both SIGTERM and SIGHUP: that is one order.
      if signal != .sighup { orders += 1 }
      if orders > 1 { _exit(75) }
      if !isStopping {
        // Not here: whatever it waits for, a second order is heard.
        let thread = Thread { stop(signal) }
        thread.name = "stop"
        thread.start()
      }
      isStopping = true
    }
  }
  defer { signals.cancel() }
  return try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
    thread.name = name
    thread.start()
  }
}

/// Whether this process was started with a signal ignored, or ignores it since.
func isIgnored(_ number: Int32) -> Bool {
  var action = sigaction()
  guard sigaction(number, nil, &action) == 0 else { return false }
  // Function pointers are not compared in Swift.
  return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}
