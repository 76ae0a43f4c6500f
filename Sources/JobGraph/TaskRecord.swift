/// Where a task stands.
struct TaskRecord: Sendable {
  enum State: Sendable, Equatable {
    /// Not given out. Whether it can be, and whether it has to be, follows from the other tasks.
    case pending
    /// In the hands of one worker, or of two once the first has had it for unusually long.
    case running([Attempt])
    /// Finished by the worker, being made durable by the coordinator.
    case storing(Attempt)
    case done
    /// Too many workers died with it in hand: not given out any more.
    case quarantined
  }

  var state = State.pending
  /// The worker whose result it is.
  var worker: WorkerID?
  /// What it made and `worker` still holds. Results in the coordinator's store are not listed.
  var outputs: [ArtifactRef] = []
  /// Not given out again before this time.
  var notBefore = Duration.zero
  /// The memory of the largest worker that had not enough for it, in bytes; 0 for none.
  var outgrown = 0

  // Since it was last done:

  /// How often it failed on each worker.
  var failures: [WorkerID: Int] = [:]
  /// Workers that others come before: it failed on them, they did not take it, or what it had made there was missing.
  var passedOver: Set<WorkerID> = []
  /// Inputs that were not where they should be, by digest, and the workers that should have had them.
  var missed: [String: Set<WorkerID>] = [:]
  /// Workers that were lost with it in hand, and have not come back.
  var deaths: [WorkerID] = []

  var isPending: Bool { state == .pending }
  var isDone: Bool { state == .done }

  /// Attempts that failed, for which the task may be at fault.
  var failureCount: Int { failures.values.reduce(0, +) }

  /// Those that may still bring a result.
  var attempts: [Attempt] { if case .running(let attempts) = state { attempts } else { [] } }

  /// Workers that have it, or whose result it is.
  var hands: [WorkerID] { attempts.isEmpty ? worker.map { [$0] } ?? [] : attempts.map(\.worker) }

  func output(named name: String) -> ArtifactRef? { outputs.first { $0.name == name } }

  func attempt(_ lease: Lease, on worker: WorkerID) -> Attempt? {
    attempts.first { $0.lease == lease && $0.worker == worker }
  }

  /// Whether the result of this lease is being made durable.
  func isStoring(_ lease: Lease, of worker: WorkerID) -> Bool {
    if case .storing(let attempt) = state { attempt.lease == lease && attempt.worker == worker } else { false }
  }

  /// The attempt brings no result; without another one the task is pending.
  mutating func remove(_ lease: Lease) {
    let left = attempts.filter { $0.lease != lease }
    state = left.isEmpty ? .pending : .running(left)
    if left.isEmpty {
      worker = nil
      outputs = []
    }
  }

  mutating func renew(_ lease: Lease, until deadline: Duration) {
    state = .running(
      attempts.map { attempt in
        var attempt = attempt
        if attempt.lease == lease { attempt.deadline = deadline }
        return attempt
      })
  }

  /// A result counts: what went wrong before means nothing any more.
  mutating func accept(_ outputs: [ArtifactRef], of worker: WorkerID) {
    self.worker = worker
    self.outputs = outputs
    failures = [:]
    passedOver = []
    missed = [:]
    deaths = []
  }
}

/// One worker's try at a task.
struct Attempt: Sendable, Equatable {
  let lease: Lease
  let worker: WorkerID
  let start: Duration
  /// Without progress until then, the lease is over.
  var deadline: Duration
  /// The workers that it was told to fetch inputs from, by digest. Equal sequences give equal sums, on several workers.
  let sources: [String: Set<WorkerID>]
}
