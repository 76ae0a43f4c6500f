/// The scheduler's limits. None of them changes a byte of the result.
public struct SchedulerPolicy: Sendable, Equatable {
  /// A worker not heard of for this long is gone, and what it held with it.
  public var heartbeatTimeout: Duration = .seconds(10)
  /// A task whose worker reports no progress for this long is given to another, even if the worker's heart beats.
  public var leaseDuration: Duration = .seconds(120)
  /// A worker that does not list a lease this long after it was given never got it, or lost it. One that turns a task down is
  /// given nothing for as long.
  public var assignmentTimeout: Duration = .seconds(10)
  /// A task that failed this often without a result ends the job…
  public var attemptsPerTask = 5
  /// …if it failed on this many workers, or on each that can have it now or in a while.
  public var workersPerTask = 2
  /// A task with which this many workers were lost one after another is given out no more.
  public var deathsPerTask = 3
  /// How many blocks beyond the lowest unfinished one may be collected, however few workers there are.
  /// Bounds the Grams and hidden states that lie on workers at one time.
  public var lookaheadBlocks = 2

  /// The pause after a task's first failure; it doubles with each further one.
  public var shortestPause: Duration = .milliseconds(250)
  public var longestPause: Duration = .seconds(16)
  /// A worker on which a task failed gets it again this much later than others may; it doubles with each failure there.
  public var secondChancePause: Duration = .seconds(10)
  public var longestSecondChancePause: Duration = .seconds(600)

  /// A worker on which this many attempts failed, or which did not take them, with no result from there in between, is set
  /// aside.
  public var failuresPerWorker = 3
  /// For how long, at first; it doubles until a result comes from there, at most ``setAsideDoublings`` times.
  public var setAsidePause: Duration = .seconds(60)
  public var setAsideDoublings = 4

  /// Workers that may have the same task at a time.
  public var attemptsAtATime = 2
  /// A task is given to a second worker when it has run this many times as long as is usual for its kind…
  public var stragglerFactor = 3
  /// …and at least so long.
  public var stragglerMinimum: Duration = .seconds(10)

  public init() {}
}

extension SchedulerPolicy {
  /// The pause before a task is given out again: doubles with the count, and lies between half of that and all of it by a
  /// hash of task and count, so that tasks that failed together do not come back together.
  package func pause(before task: TaskID, after count: Int) -> Duration {
    let whole = Self.doubled(shortestPause, after: count, upTo: longestPause)
    let fraction = Double(task.hash(with: UInt64(count)) >> 11) * 0x1p-53
    return whole * (0.5 + 0.5 * fraction)
  }

  /// How much later than others a worker may have a task again that failed so often on it.
  func secondChance(after failures: Int) -> Duration {
    Self.doubled(secondChancePause, after: failures, upTo: longestSecondChancePause)
  }

  private static func doubled(_ pause: Duration, after count: Int, upTo longest: Duration) -> Duration {
    let doublings = min(max(count, 1) - 1, 16)
    return min(pause * (1 << doublings), longest)
  }

  func setAside(times: Int) -> Duration { setAsidePause * (1 << min(times, setAsideDoublings)) }
}

extension TaskID {
  /// The same on every machine and in every process, which Swift's own hashes are not.
  fileprivate func hash(with salt: UInt64) -> UInt64 {
    let (kind, part): (UInt64, Int) =
      switch self {
      case .collect(_, let shard): (0, shard)
      case .fit(_, let linear): (1, linear)
      case .tune: (2, 0)
      case .verify: (3, 0)
      case .recollect(_, let shard): (4, shard)
      case .evaluate(let shard): (5, shard)
      case .distill(let step, let batch): (6, step << 16 + batch)
      case .update(let step): (7, step)
      }
    var hash = salt
    for word in [kind, UInt64(block), UInt64(part)] {
      // The steps of SplitMix64.
      hash = (hash ^ word) &+ 0x9e37_79b9_7f4a_7c15
      hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
      hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
      hash ^= hash >> 31
    }
    return hash
  }
}
