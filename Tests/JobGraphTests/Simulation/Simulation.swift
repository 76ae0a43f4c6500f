import JobGraph
import TestSupport

/// A whole cluster around the real ``Scheduler`` under one seed: coordinator, workers, store and network, with faults.
///
/// Time is virtual. What happens, and when, follows from the seed alone, so that a failing seed fails again. The
/// ``Ledger`` checks every event and action.
struct Simulation {
  enum Happening {
    case delivery(SimulatedMessage, from: Party, to: Party)
    case tick(coordinator: Int)
    case disk(DiskWork, coordinator: Int)
    /// The coordinator notices that a worker's connection has closed.
    case closed(WorkerID, coordinator: Int)
    case resume
    case join
    case beat(WorkerID)
    /// A job of a worker goes on.
    case step(WorkerID, job: Int)
    case misfortune
  }

  /// What the coordinator's background threads do.
  enum DiskWork {
    case store(TaskID, Lease, WorkerID, [ArtifactRef], since: Int)
    case merge(block: Int)
    case assemble
  }

  /// Two parties that do not reach each other.
  struct Cut: Hashable {
    let one: Party
    let other: Party
  }

  /// With no new faults a job is done long before, whatever had to be waited for.
  static let patience = 4 * 3_600_000
  private static let workersMax = 6
  private static let misfortunePeriod = 500

  let plan: JobPlan
  let policy: SchedulerPolicy
  var faults: SimulatedFaults
  var random: SplitMix
  var now = 0
  var events = EventQueue<Happening>()
  var workers: [WorkerID: SimulatedWorker] = [:]
  /// Those that no process has.
  var caches: [SimulatedCache] = []
  var store = SimulatedStore()
  var ledger: Ledger
  /// Until when.
  var cuts: [Cut: Int] = [:]

  // The running coordinator, if there is one.
  var scheduler: Scheduler?
  /// Counts coordinators.
  var coordinator = 0
  var coordinatorStart = 0
  var coordinatorRate = 1.0
  /// Workers that have said Ready.
  var introduced: Set<WorkerID> = []
  /// Those of them that have not yet told what they have, and when they were welcomed last.
  var arrivals: [WorkerID: Int] = [:]
  /// As each said in its last Ready.
  var slots: [WorkerID: Int] = [:]

  var isFinished = false
  /// Coordinators that ended over quarantined tasks.
  var quarantines = 0
  private var started = 0

  init(_ plan: JobPlan, workers: Int, faults: SimulatedFaults, seed: UInt64) {
    self.plan = plan
    self.faults = faults
    var policy = SchedulerPolicy()
    policy.leaseDuration = .seconds(20)
    self.policy = policy
    random = SplitMix(seed: seed)
    ledger = Ledger(plan, policy)
    for _ in 0..<workers { start() }
    resume()
    events.push(.misfortune, at: Self.misfortunePeriod)
  }

  var violations: [String] { ledger.violations }
  var hasFaults: Bool { now < faults.end }

  /// A draw that comes true only while there are faults.
  mutating func strikes(_ chance: Double) -> Bool { hasFaults && random.chance(chance) }

  /// Runs until the job is finished, something is violated, or nobody would wait longer.
  mutating func run() {
    while !isFinished, ledger.violations.isEmpty, let (time, event) = events.pop() {
      now = time
      if now > faults.end + Self.patience { return ledger.violate("the job did not end") }
      happen(event)
    }
  }

  private mutating func happen(_ event: Happening) {
    switch event {
    case .delivery(let message, let sender, let receiver): deliver(message, from: sender, to: receiver)
    case .tick(coordinator):
      tell(.tick)
      events.push(.tick(coordinator: coordinator), at: now + 1000)
    case .disk(let work, coordinator): perform(work)
    case .closed(let worker, coordinator): closed(worker)
    case .resume: resume()
    case .join: if workers.count < Self.workersMax { start() }
    case .beat(let worker): beat(worker)
    case .step(let worker, let job): step(worker, job)
    case .misfortune: misfortune()
    // Of a coordinator that is gone.
    case .tick, .disk, .closed: break
    }
  }

  // MARK: Network

  mutating func send(_ message: SimulatedMessage, from sender: Party, to receiver: Party) {
    if let end = cutEnd(sender, receiver) {
      // Kept by the sender's kernel until the way is free, or lost with the connection.
      if random.chance(0.5) {
        events.push(.delivery(message, from: sender, to: receiver), at: end + random.draw(1...500))
      }
      return
    }
    if strikes(faults.dropChance) { return }
    for _ in 0..<(strikes(faults.doubleChance) ? 2 : 1) {
      let delay = strikes(faults.slowChance) ? random.draw(100...15_000) : random.draw(1...20)
      events.push(.delivery(message, from: sender, to: receiver), at: now + delay)
    }
  }

  private mutating func deliver(_ message: SimulatedMessage, from sender: Party, to receiver: Party) {
    switch (sender, receiver) {
    case (.worker(let worker), .coordinator): if scheduler != nil { receive(message, from: worker) }
    case (_, .worker(let worker)): receive(message, at: worker)
    case (.coordinator, .coordinator): break
    }
  }

  /// When two parties reach each other again; nil if they do now.
  func cutEnd(_ one: Party, _ other: Party) -> Int? {
    let end = max(cuts[Cut(one: one, other: other)] ?? 0, cuts[Cut(one: other, other: one)] ?? 0)
    return end > now ? end : nil
  }

  // MARK: Faults

  private mutating func misfortune() {
    if !hasFaults { return }
    events.push(.misfortune, at: now + Self.misfortunePeriod)
    let ids = workers.keys.sorted()
    if let victim = random.pick(ids) {
      if random.chance(faults.crashRate * Double(ids.count)) { crash(victim) }
      if random.chance(faults.freezeRate * Double(ids.count)) { freeze(victim, for: random.draw(500...60_000)) }
      if random.chance(faults.leaveRate) { leave(victim) }
      if random.chance(faults.partitionRate) {
        cut(victim, off: random.pick(ids) ?? victim, for: random.draw(500...40_000))
      }
    }
    if random.chance(faults.joinRate) { events.push(.join, at: now) }
    if scheduler != nil, random.chance(faults.coordinatorCrashRate) { crashCoordinator() }
  }

  private mutating func cut(_ worker: WorkerID, off other: WorkerID, for time: Int) {
    let end = min(now + time, faults.end)
    let kind = random.draw(0...2)
    if kind != 1 { cuts[Cut(one: .worker(worker), other: .coordinator)] = end }
    if kind == 1 { cuts[Cut(one: .worker(worker), other: .worker(other))] = end }
    if kind == 2 { for peer in workers.keys { cuts[Cut(one: .worker(worker), other: .worker(peer))] = end } }
  }

  private mutating func start() {
    started += 1
    let id = WorkerID("w\(started)")
    workers[id] = SimulatedWorker(
      id, slots: random.draw(1...2), clockRate: drawnRate(), isBroken: strikes(faults.brokenChance),
      isUnreachable: strikes(faults.unreachableChance), cache: takeCache(),
      isForeign: strikes(faults.foreignCacheChance), now: now)
    events.push(.beat(id), at: now + random.draw(1...1000))
  }

  /// One that a process has left, if there is one.
  private mutating func takeCache() -> SimulatedCache? {
    if caches.isEmpty || strikes(faults.coldStartChance) { return nil }
    var cache = caches.remove(at: random.draw(0...caches.count - 1))
    if hasFaults { cache.decay(faults, &random) }
    return cache
  }

  mutating func drawnRate() -> Double {
    1 + faults.clockSpread * (Double(random.draw(0...2000)) / 1000 - 1)
  }
}
