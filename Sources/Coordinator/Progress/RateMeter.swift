/// Tasks a minute, and the time left by the work done so far.
package struct RateMeter {
  private var finished: [Double] = []
  private var workAtStart: Double?

  package init() {}

  /// A task came in at `time`, in seconds.
  package mutating func taskFinished(at time: Double) { finished.append(time) }

  /// Tasks of the last minute, scaled up while the job is younger than that.
  package mutating func perMinute(at time: Double) -> Double {
    finished.removeAll { $0 < time - 60 }
    return time > 1 ? Double(finished.count) * 60 / min(60, time) : 0
  }

  /// Seconds left if the rest goes as what this coordinator has seen: fits and verifications done out of all.
  package mutating func remaining(done: Double, of total: Double, at time: Double) -> Double? {
    let start = workAtStart ?? done
    workAtStart = start
    guard done > start, time > 5 else { return nil }
    return time * (total - done) / (done - start)
  }
}
