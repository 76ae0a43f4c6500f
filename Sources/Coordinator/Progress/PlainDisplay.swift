import Foundation
import Synchronization

/// A line now and then, for logs and pipes.
public final class PlainDisplay: ProgressDisplay {
  private struct State {
    var lastShown = -Double.infinity
    var lastCounts = ""
  }

  /// Seconds between lines while something changes, and while nothing does.
  private static let interval = 5.0
  private static let quietInterval = 60.0

  private let state = Mutex(State())

  public init() {}

  public func show(_ moment: JobMoment) {
    let isDue = state.withLock { state in
      let interval = moment.counts == state.lastCounts ? Self.quietInterval : Self.interval
      guard moment.elapsed - state.lastShown >= interval else { return false }
      state.lastShown = moment.elapsed
      state.lastCounts = moment.counts
      return true
    }
    if isDue { note("\(moment.counts)  \(moment.progress.running.count.counted("worker"))  \(moment.rate)") }
  }

  public func note(_ line: String) { StandardError.offer(line + "\n") }

  public func close() {}
}
