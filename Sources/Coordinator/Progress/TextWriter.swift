import Foundation
import Synchronization

/// Writes text to a file descriptor on a thread of its own, in the order given. Nobody who gives it text waits for whoever reads:
/// a terminal may be held, and a pipe full.
package final class TextWriter: Sendable {
  private struct State {
    /// Bytes that are not written yet.
    var waiting = 0
    /// Whether a flush was in vain, and nothing has been written since.
    var isStuck = false
  }

  private let descriptor: Int32
  private let waitingMax: Int
  private let thread = BackgroundThreads(count: 1, name: "text")
  private let unwritten = DispatchGroup()
  private let state = Mutex(State())

  /// - Parameter waitingMax: bytes; while more than these wait, nothing more is offered a place.
  package init(to descriptor: Int32, waitingMax: Int = 1 << 18) {
    self.descriptor = descriptor
    self.waitingMax = waitingMax
  }

  /// Writes what must not be lost, however much waits; there is little of that.
  package func write(_ text: String) {
    let bytes = Array(text.utf8)
    state.withLock { $0.waiting += bytes.count }
    submit(bytes)
  }

  /// Writes a text as a whole, or not at all if too much waits already.
  ///
  /// - Returns: whether it is written.
  package func offer(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let isTaken = state.withLock { state in
      if state.waiting > waitingMax { return false }
      state.waiting += bytes.count
      return true
    }
    if isTaken { submit(bytes) }
    return isTaken
  }

  private func submit(_ bytes: [UInt8]) {
    unwritten.enter()
    thread.submit { [self] in
      // Where nothing can be written, as on a full disk, the rest is let go.
      _ = DescriptorOutput.write(bytes, to: descriptor)
      state.withLock { state in
        state.waiting -= bytes.count
        state.isStuck = false
      }
      unwritten.leave()
    }
  }

  /// Waits until all is written, for a bounded time; and not once more for a reader that has read nothing in that time.
  package func flush(within patience: Duration = .seconds(2)) {
    if state.withLock({ $0.isStuck }) { return }
    if unwritten.wait(timeout: .now() + patience / .seconds(1)) == .timedOut {
      state.withLock { $0.isStuck = $0.waiting > 0 }
    }
  }
}
