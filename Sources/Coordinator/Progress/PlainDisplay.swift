import Foundation
import JobGraph
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
    let counts = state.withLock { state -> String? in
      let now = Self.counts(moment.progress)
      let interval = now == state.lastCounts ? Self.quietInterval : Self.interval
      guard moment.elapsed - state.lastShown >= interval else { return nil }
      state.lastShown = moment.elapsed
      state.lastCounts = now
      return now
    }
    if let counts { note("\(counts)  \(moment.progress.running.count.counted("worker"))  \(moment.rate)") }
  }

  /// "collected 12/30  fitted 70/210 linears  verified 9/30", "evaluated 3/32 windows".
  private static func counts(_ progress: JobProgress) -> String {
    let (fits, tunes, steps, evaluations) = (progress.fits, progress.tunes, progress.steps, progress.evaluations)
    if evaluations.total > 0 { return "evaluated \(evaluations.done)/\(evaluations.total) windows" }
    return "collected \(progress.collectedBlocks)/\(progress.blockCount)  fitted \(fits.done)/\(fits.total) linears  "
      + (tunes.total > 0 ? "tuned \(tunes.done)/\(tunes.total)  " : "")
      + (steps.total > 0 ? "distilled \(steps.done)/\(steps.total) steps  " : "")
      + "verified \(progress.verifiedBlocks)/\(progress.blockCount)"
  }

  public func note(_ line: String) { StandardError.offer(line + "\n") }

  public func close() {}
}
