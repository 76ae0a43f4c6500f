import JobGraph

/// A worker process: what it has in hand, and what it answers. Its kernels and fetches are run by the ``Simulation``.
struct SimulatedWorker {
  /// A task from its assignment until its end.
  struct Job {
    enum Phase {
      case waiting
      case fetching(since: Int)
      case computing(until: Int)
      /// Makes no progress and hears no cancellation.
      case hanging(until: Int)
    }

    let number: Int
    let task: TaskID
    let lease: Lease
    let inputs: [TaskInput]
    var phase = Phase.waiting
    var isCancelled = false

    var isWaiting: Bool { if case .waiting = phase { true } else { false } }
  }

  /// As in the worker's process: without a word for so long it introduces itself again, or ends.
  static let silence = 10_000
  static let patience = 45_000

  let id: WorkerID
  let slots: Int
  /// Of the worker's clock to the true time.
  let clockRate: Double
  let isBroken: Bool
  let isUnreachable: Bool
  var isWelcomed = false
  var jobs: [Job] = []
  /// Results that are not acknowledged.
  var results: [Lease: (task: TaskID, outputs: [ArtifactRef])] = [:]
  /// What heartbeats list.
  var leases: [Lease: TaskID] = [:]
  var cache: SimulatedCache
  /// The process that had the cache before.
  let predecessor: WorkerID?
  /// Whether it begins with what it has of another job.
  private var isForeign: Bool
  var forsaken: Set<WorkerID> = []
  var lastHeard: Int
  var frozenUntil = 0
  private var jobCount = 0

  init(
    _ id: WorkerID, slots: Int, clockRate: Double, isBroken: Bool, isUnreachable: Bool, cache: SimulatedCache?,
    isForeign: Bool,
    now: Int
  ) {
    predecessor = cache?.owner
    self.cache = cache ?? SimulatedCache(owner: id)
    self.cache.owner = id
    self.isForeign = isForeign
    self.id = id
    self.slots = slots
    self.clockRate = clockRate
    self.isBroken = isBroken
    self.isUnreachable = isUnreachable
    lastHeard = now
  }

  /// True time that passes while the worker's clock shows `time`.
  func trueTime(_ time: Int) -> Int { max(1, Int(Double(time) / clockRate)) }

  /// - Returns: what it answers at once.
  mutating func receive(_ message: SimulatedMessage, now: Int) -> [SimulatedMessage] {
    lastHeard = now
    switch message {
    case .welcome:
      isWelcomed = true
      return [inventory()] + unacknowledged
    case .introduceYourself:
      isWelcomed = false
      return [.ready(slots: slots)]
    case .assign(let task, let lease, let inputs):
      for input in inputs { if case .worker(let holder) = input.holder { forsaken.remove(holder) } }
      leases[lease] = task
      jobCount += 1
      jobs.append(Job(number: jobCount, task: task, lease: lease, inputs: inputs))
    case .cancel(let task, let lease): return cancel(task, lease)
    case .release(let artifacts): cache.remove(artifacts)
    case .resultStored(let lease):
      results[lease] = nil
      leases[lease] = nil
    case .holderLost(let holder): forsaken.insert(holder)
    default: break
    }
    return []
  }

  /// Once a second by its own clock.
  mutating func beat(now: Int) -> [SimulatedMessage] {
    if Double(now - lastHeard) * clockRate > Double(Self.silence) { isWelcomed = false }
    return isWelcomed ? [.heartbeat(leases)] : [.ready(slots: slots)]
  }

  func hasLostPatience(now: Int) -> Bool { Double(now - lastHeard) * clockRate > Double(Self.patience) }

  var unacknowledged: [SimulatedMessage] {
    results.sorted { $0.key < $1.key }.map { .done($0.value.task, $0.key, $0.value.outputs) }
  }

  private mutating func inventory() -> SimulatedMessage {
    guard isForeign else { return .inventory(Inventory(passes: cache.inventory, predecessor: predecessor), job: 0) }
    isForeign = false
    let foreign = ArtifactRef(name: ArtifactRef.gramName("attn_in"), digest: "foreign", size: 1)
    return .inventory(Inventory(passes: [.collect(block: 0, shard: 0): [foreign]], predecessor: predecessor), job: 1)
  }

  private mutating func cancel(_ task: TaskID, _ lease: Lease) -> [SimulatedMessage] {
    results[lease] = nil
    for index in jobs.indices where jobs[index].lease == lease { jobs[index].isCancelled = true }
    // What runs is told of until it has noticed.
    if !jobs.contains(where: { $0.lease == lease && !$0.isWaiting }) { leases[lease] = nil }
    let waiting = jobs.filter { $0.lease == lease && $0.isWaiting }
    jobs.removeAll { $0.lease == lease && $0.isWaiting }
    return waiting.map { _ in .failed(task, lease, .cancelled) }
  }

  /// A job ends without a result.
  mutating func fail(_ job: Job, _ failure: TaskFailure) -> SimulatedMessage {
    jobs.removeAll { $0.number == job.number }
    leases[job.lease] = nil
    return .failed(job.task, job.lease, failure)
  }

  mutating func finish(_ job: Job, _ outputs: [ArtifactRef]) -> SimulatedMessage {
    jobs.removeAll { $0.number == job.number }
    if job.isCancelled {
      leases[job.lease] = nil
    } else {
      results[job.lease] = (job.task, outputs)
    }
    cache.add(job.task, outputs)
    return .done(job.task, job.lease, outputs)
  }

  /// The next waiting job, if a slot is free.
  mutating func startNext(now: Int) -> Job? {
    guard jobs.filter({ !$0.isWaiting }).count < slots, let index = jobs.firstIndex(where: \.isWaiting) else {
      return nil
    }
    jobs[index].phase = .fetching(since: now)
    return jobs[index]
  }
}
