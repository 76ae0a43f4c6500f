/// The scheduler's limits. None of them changes a byte of the result.
public struct SchedulerPolicy: Sendable, Equatable {
  /// A worker not heard of for this long is gone, and what it held with it.
  public var heartbeatTimeout: Duration = .seconds(10)
  /// A task whose worker reports no progress for this long is given to another, even if the worker's heart beats.
  public var leaseDuration: Duration = .seconds(120)
  /// A worker that does not list a lease this long after it was given never got it, or lost it.
  public var assignmentTimeout: Duration = .seconds(10)
  /// A task that was given out this often without a result ends the job.
  public var attemptsPerTask = 5
  /// How many blocks beyond the lowest unfinished one may be collected, however few workers there are.
  /// Bounds the Grams and hidden states that lie on workers at one time.
  public var lookaheadBlocks = 2

  public init() {}
}
