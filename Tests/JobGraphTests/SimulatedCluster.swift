import JobGraph

/// Workers, network and coordinator shell around a ``Scheduler``, with faults drawn from one seed.
///
/// Messages are delayed, reordered and lost; workers crash, hang and join; the coordinator dies and another goes on from
/// what was stored. Time is virtual.
struct SimulatedCluster {
  struct Faults {
    var crashChance = 0.0
    var lossChance = 0.0
    var hangChance = 0.0
    var coordinatorCrashes = 0
    var failureChance = 0.0
    var slotsPerWorker = 1...2
  }

  private struct Worker {
    let slots: Int
    var held: Set<String> = []
    var busy: [Lease: (task: TaskID, inputs: [TaskInput], end: Duration)] = [:]
    var isKnown = false
  }

  private enum Message {
    case toScheduler(SchedulerEvent)
    case toWorker(WorkerID, SchedulerAction)
  }

  let plan: JobPlan
  let faults: Faults
  private(set) var scheduler: Scheduler
  private(set) var violations: [String] = []
  private(set) var outcome: SchedulerAction?
  /// Times each fit, tune or verify was made durable: never more than once.
  private(set) var stored: [TaskID: Int] = [:]
  private(set) var assignments: [TaskID: Int] = [:]
  /// Workers that were given a tune.
  private(set) var tuners: Set<WorkerID> = []

  private var random: SplitMix
  private var now = Duration.zero
  private var workers: [WorkerID: Worker] = [:]
  private var wire: [(at: Duration, message: Message)] = []
  private var merged: [Int: ArtifactRef] = [:]
  private var tuned: [Int: ArtifactRef] = [:]
  private var started = 0
  private var coordinatorCrashesLeft: Int

  init(plan: JobPlan, workers: Int, faults: Faults, seed: UInt64) {
    self.plan = plan
    self.faults = faults
    random = SplitMix(state: seed)
    scheduler = Scheduler(plan: plan, policy: Self.policy)
    coordinatorCrashesLeft = faults.coordinatorCrashes
    for _ in 0..<workers { start() }
  }

  private static var policy: SchedulerPolicy {
    var policy = SchedulerPolicy()
    policy.attemptsPerTask = 1_000
    policy.leaseDuration = .seconds(20)
    return policy
  }

  /// Runs until the job ends or `limit` of virtual time has passed.
  mutating func run(limit: Duration = .seconds(20_000)) {
    while outcome == nil, now < limit {
      now += .milliseconds(100)
      deliver()
      work()
      if now.components.attoseconds == 0 { beat() }
      if coordinatorCrashesLeft > 0, random.chance(0.002) { restartCoordinator() }
    }
    if outcome == nil { violations.append("the job did not end within \(limit)") }
  }

  // MARK: network

  private mutating func send(_ message: Message) {
    if random.chance(faults.lossChance) { return }
    wire.append((now + .milliseconds(Int(random.next() % 300)), message))
  }

  private mutating func deliver() {
    let due = wire.filter { $0.at <= now }
    wire.removeAll { $0.at <= now }
    for (_, message) in due {
      switch message {
      case .toScheduler(let event): tell(event)
      case .toWorker(let worker, let action): receive(worker, action)
      }
    }
  }

  private mutating func tell(_ event: SchedulerEvent) {
    for action in scheduler.handle(event, at: now) { perform(action) }
  }

  // MARK: coordinator's shell

  private mutating func perform(_ action: SchedulerAction) {
    switch action {
    case .assign(let worker, let task, _, let inputs):
      assignments[task, default: 0] += 1
      if task.kind == .tune { tuners.insert(worker) }
      check(task, inputs)
      send(.toWorker(worker, action))
    case .store(let task, let lease, let worker, let outputs):
      if workers[worker] != nil, outputs.allSatisfy({ workers[worker]?.held.contains($0.digest) == true }) {
        stored[task, default: 0] += 1
        if case .tune(let block) = task { tuned[block] = outputs[0] }
        tell(.stored(task, lease))
      } else {
        tell(.storeFailed(task, lease, reason: "worker gone"))
      }
    case .merge(let block):
      let artifact = ArtifactRef(name: ArtifactRef.packedName, digest: "merged \(block)", size: 1)
      if merged.updateValue(artifact, forKey: block) != nil, faults.coordinatorCrashes == 0 {
        violations.append("block \(block) merged twice")
      }
      tell(.merged(block: block, artifact))
    case .assemble: tell(.assembled)
    case .finish, .stop: outcome = action
    case .forsake: break
    case .acknowledge(let worker, _, _), .cancel(let worker, _, _), .release(let worker, _), .dismiss(let worker, _):
      send(.toWorker(worker, action))
    }
  }

  private mutating func check(_ task: TaskID, _ inputs: [TaskInput]) {
    switch task {
    case .fit:
      let shards = inputs.map(\.index)
      let expected = plan.shards.indices.filter { !plan.shards[$0].isHeldOut }
      if shards != expected { violations.append("\(task) was given the Grams of shards \(shards)") }
    case .tune(let block):
      let expected = (0..<block).compactMap { tuned[$0]?.digest } + [merged[block]?.digest]
      if inputs.map(\.artifact.digest) != expected {
        violations.append("\(task) was given \(inputs.map(\.artifact.digest))")
      }
    case .verify(let block):
      let packed = plan.isTuned ? tuned[block] : merged[block]
      if packed == nil || inputs.last(where: { $0.holder == .coordinator })?.artifact != packed {
        violations.append("\(task) was not given the packed block")
      }
    case .collect: break
    }
    if stored[task] != nil { violations.append("\(task) was given out after it was stored") }
  }

  private mutating func restartCoordinator() {
    coordinatorCrashesLeft -= 1
    let fits = stored.keys.filter { $0.kind == .fit }
    let verified = stored.keys.filter { $0.kind == .verify }.map(\.block)
    scheduler = Scheduler(
      plan: plan, policy: Self.policy, fitted: Set(fits), merged: merged, tuned: tuned, verified: Set(verified),
      firstLease: scheduler.firstLeaseForSuccessor)
    wire.removeAll { if case .toScheduler = $0.message { true } else { false } }
    tell(.tick)
  }

  // MARK: workers

  private mutating func start() {
    started += 1
    let slots = Int(random.next() % UInt64(faults.slotsPerWorker.count)) + faults.slotsPerWorker.lowerBound
    workers[WorkerID("w\(started)")] = Worker(slots: slots)
  }

  private mutating func receive(_ id: WorkerID, _ action: SchedulerAction) {
    guard var worker = workers[id] else { return }
    switch action {
    case .assign(_, let task, let lease, let inputs):
      let hangs = random.chance(faults.hangChance)
      let duration = Duration.milliseconds(hangs ? 60_000 : 200 + Int(random.next() % 3_000))
      worker.busy[lease] = (task, inputs, now + duration)
    case .release(_, let artifacts): worker.held.subtract(artifacts.map(\.digest))
    case .cancel(_, let task, let lease):
      if worker.busy.removeValue(forKey: lease) != nil { send(.toScheduler(.failed(id, task, lease, .cancelled))) }
    case .dismiss: worker = Worker(slots: worker.slots)
    default: break
    }
    workers[id] = worker
  }

  private mutating func work() {
    for id in workers.keys.sorted() {
      if random.chance(faults.crashChance) {
        workers[id] = nil
        start()
        continue
      }
      for (lease, job) in workers[id]?.busy.sorted(by: { $0.key < $1.key }) ?? [] where job.end <= now {
        workers[id]?.busy[lease] = nil
        complete(id, job.task, lease, job.inputs)
      }
    }
  }

  private mutating func complete(_ id: WorkerID, _ task: TaskID, _ lease: Lease, _ inputs: [TaskInput]) {
    for input in inputs {
      guard case .worker(let holder) = input.holder else { continue }
      let isHidden = input.artifact.name.hasPrefix("hidden/")
      if !isHidden, workers[holder]?.held.contains(input.artifact.digest) != true {
        send(.toScheduler(.failed(id, task, lease, .missingArtifact(digest: input.artifact.digest))))
        return
      }
    }
    if random.chance(faults.failureChance) {
      send(.toScheduler(.failed(id, task, lease, .other("drawn by the seed"))))
      return
    }
    let outputs = outputs(of: task)
    workers[id]?.held.formUnion(outputs.map(\.digest))
    send(.toScheduler(.finished(id, task, lease, outputs: outputs)))
  }

  private func outputs(of task: TaskID) -> [ArtifactRef] {
    let names: [String]
    switch task {
    case .collect(let block, _):
      let hidden = plan.propagation == .teacher ? block + 1 : block
      names = plan.sites.map(ArtifactRef.gramName) + (hidden < plan.blockCount ? [ArtifactRef.hiddenName(hidden)] : [])
    case .fit, .tune: names = [ArtifactRef.packedName]
    case .verify: names = []
    }
    return names.map { ArtifactRef(name: $0, digest: "\(task) \($0)", size: 1) }
  }

  private mutating func beat() {
    for id in workers.keys.sorted() {
      guard let worker = workers[id] else { continue }
      // A worker that was dismissed, or whose coordinator is new, introduces itself again.
      if !scheduler.knows(id) || !worker.isKnown {
        workers[id] = Worker(slots: worker.slots, isKnown: true)
        send(.toScheduler(.joined(id, slots: worker.slots)))
      } else {
        send(.toScheduler(.heard(id, holding: worker.busy.mapValues(\.task))))
      }
    }
    tell(.tick)
  }
}

/// SplitMix64 with the few draws the simulation needs.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ probability: Double) -> Bool {
    probability > 0 && Double(next() >> 11) * 0x1p-53 < probability
  }
}
