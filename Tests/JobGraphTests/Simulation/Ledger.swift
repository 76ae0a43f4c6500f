import JobGraph

/// What must hold whatever goes wrong, checked at every event and action of the scheduler, by books of its own.
struct Ledger {
  private struct Entry {
    let worker: WorkerID
    let task: TaskID
    var isLive = true
  }

  let plan: JobPlan
  let policy: SchedulerPolicy
  private(set) var violations: [String] = []
  /// How often each task was given out.
  private(set) var assignments: [TaskID: Int] = [:]
  private(set) var tuners: Set<WorkerID> = []
  private(set) var copies = 0
  /// Passes that workers brought along.
  private(set) var inherited = 0

  /// Every lease there ever was, over all coordinators.
  private var leases: [Lease: Entry] = [:]
  private var live: [TaskID: Set<Lease>] = [:]
  private var inHand: [WorkerID: Set<Lease>] = [:]
  private var acknowledged: Set<TaskID> = []

  // Of the running coordinator:
  /// Digests that each worker has said to hold, and has not been told to remove since.
  private var said: [WorkerID: Set<String>] = [:]
  private var slots: [WorkerID: Int] = [:]
  private var storing: [TaskID: Lease] = [:]
  private var deaths: [TaskID: [WorkerID]] = [:]
  /// An upper bound of the failures that may count.
  private var failures: [TaskID: Int] = [:]
  private var quarantined: Set<TaskID> = []
  private var asideUntil: [WorkerID: Duration] = [:]

  init(_ plan: JobPlan, _ policy: SchedulerPolicy) {
    self.plan = plan
    self.policy = policy
  }

  mutating func violate(_ text: String) { violations.append(text) }

  /// The coordinator is gone, and all leases with it.
  mutating func forgetCoordinator() {
    for worker in inHand.keys { end(leasesOf: worker) }
    slots = [:]
    said = [:]
    storing = [:]
    deaths = [:]
    failures = [:]
    quarantined = []
    asideUntil = [:]
  }

  // MARK: Events

  mutating func note(_ event: SchedulerEvent, _ store: SimulatedStore) {
    switch event {
    case .joined(let worker, let count, _, let inventory):
      if let predecessor = inventory.predecessor, slots[predecessor] != nil { lose(predecessor) }
      end(leasesOf: worker)
      inherited += inventory.passes.count
      said[worker] = Set(inventory.passes.values.joined().map(\.digest))
      slots[worker] = count
      asideUntil[worker] = nil
      for task in deaths.keys { deaths[task]?.removeAll { $0 == worker } }
    case .left(let worker):
      end(leasesOf: worker)
      slots[worker] = nil
    case .lost(let worker): lose(worker)
    case .finished(let worker, _, _, let outputs): said[worker, default: []].formUnion(outputs.map(\.digest))
    case .failed(let worker, let task, let lease, let failure):
      guard isLive(lease, task, worker) else { return }
      end(lease)
      if failure != .cancelled { failures[task, default: 0] += 1 }
    case .stored(let task, _):
      if store.results[task] == nil { violate("\(task) was reported stored and is not") }
      storing[task] = nil
      deaths[task] = nil
      failures[task] = nil
    case .storeFailed(let task, _, _):
      storing[task] = nil
      failures[task, default: 0] += 1
    default: break
    }
  }

  // MARK: Actions

  mutating func note(_ action: SchedulerAction, _ store: SimulatedStore, at now: Duration) {
    switch action {
    case .assign(let worker, let task, let lease, let inputs):
      check(task, inputs, store)
      assign(task, to: worker, lease, store, at: now)
    case .store(let task, let lease, let worker, _):
      accept(task, lease, worker)
      if storing[task] != nil { violate("\(task) is stored twice at a time") }
      storing[task] = lease
    case .acknowledge(let worker, let task, let lease):
      if [.collect, .recollect, .distill].contains(task.kind) {
        accept(task, lease, worker)
        deaths[task] = nil
        failures[task] = nil
      } else {
        if store.results[task] == nil { violate("\(task) was acknowledged before it was durable") }
        acknowledged.insert(task)
      }
    case .cancel(let worker, let task, let lease):
      guard isLive(lease, task, worker) else { return }
      end(lease)
      failures[task, default: 0] += 1
    case .dismiss(let worker, _): if slots[worker] != nil { lose(worker) }
    case .quarantine(let culprit): quarantine(culprit)
    case .readmit(let task):
      if !quarantined.contains(task) { violate("\(task) was let out of a quarantine it was not in") }
      quarantined.remove(task)
    case .setAside(let worker, let pause, _): asideUntil[worker] = now + pause
    case .stop(.attemptsExhausted(let task, _)):
      let count = failures[task] ?? 0
      if count < policy.attemptsPerTask { violate("\(task) ended the job after \(count) failures") }
    case .stop(.quarantined(let culprits)):
      if Set(culprits.map(\.task)) != quarantined { violate("the job ended over \(culprits), not \(quarantined)") }
    case .stop(.badInput): violate("the job ended over bad input that there is not")
    case .finish: checkEnd(store)
    case .release(let worker, let artifacts): said[worker]?.subtract(artifacts.map(\.digest))
    case .forsake, .merge, .assemble: break
    }
  }

  /// A result that was acknowledged is there for ever.
  mutating func checkAcknowledged(_ store: SimulatedStore) {
    for task in acknowledged where store.results[task] == nil { violate("\(task) was acknowledged and is lost") }
  }

  private mutating func checkEnd(_ store: SimulatedStore) {
    checkAcknowledged(store)
    for task in plan.results {
      let writes = store.writes[task] ?? 0
      if writes != 1 { violate("\(task) was written \(writes) times") }
    }
    if store.merged.count != plan.blockCount { violate("\(store.merged.count) blocks are merged") }
  }

  // MARK: Leases

  private func isLive(_ lease: Lease, _ task: TaskID, _ worker: WorkerID) -> Bool {
    guard let entry = leases[lease] else { return false }
    return entry.isLive && entry.task == task && entry.worker == worker
  }

  private mutating func end(_ lease: Lease) {
    guard let entry = leases[lease], entry.isLive else { return }
    leases[lease]?.isLive = false
    live[entry.task]?.remove(lease)
    inHand[entry.worker]?.remove(lease)
  }

  private mutating func end(leasesOf worker: WorkerID) {
    for lease in inHand[worker] ?? [] { end(lease) }
  }

  private mutating func lose(_ worker: WorkerID) {
    for lease in inHand[worker] ?? [] {
      if let task = leases[lease]?.task { deaths[task, default: []].append(worker) }
    }
    end(leasesOf: worker)
    slots[worker] = nil
  }

  private mutating func assign(
    _ task: TaskID, to worker: WorkerID, _ lease: Lease, _ store: SimulatedStore, at now: Duration
  ) {
    if leases[lease] != nil { violate("lease \(lease.number) was given twice") }
    let others = live[task] ?? []
    if others.contains(where: { leases[$0]?.worker == worker }) { violate("\(worker) was given \(task) twice") }
    if others.count >= policy.attemptsAtATime { violate("\(task) is in \(others.count + 1) hands") }
    if !others.isEmpty { copies += 1 }
    if store.results[task] != nil { violate("\(task) was given out after it was stored") }
    if storing[task] != nil { violate("\(task) was given out while it was stored") }
    if quarantined.contains(task) { violate("\(task) was given out in quarantine") }
    checkFree(worker, for: task, at: now)
    leases[lease] = Entry(worker: worker, task: task)
    live[task, default: []].insert(lease)
    inHand[worker, default: []].insert(lease)
    assignments[task, default: 0] += 1
    if task.kind == .tune { tuners.insert(worker) }
  }

  private mutating func checkFree(_ worker: WorkerID, for task: TaskID, at now: Duration) {
    guard let slots = slots[worker] else { return violate("\(task) was given to \(worker), which is not there") }
    let hand = (inHand[worker] ?? []).compactMap { leases[$0]?.task }
    if hand.count >= slots { violate("\(worker) was given \(task) beyond its \(slots) slots") }
    if isSuspect(task), !hand.isEmpty { violate("the suspect \(task) was given to \(worker) beside \(hand)") }
    if hand.contains(where: isSuspect) { violate("\(task) was given to \(worker) beside a suspect") }
    let isAside = asideUntil[worker].map { $0 > now } ?? false
    if isAside, self.slots.keys.contains(where: { (asideUntil[$0] ?? .zero) <= now }) {
      violate("\(task) was given to \(worker), which is set aside")
    }
  }

  private func isSuspect(_ task: TaskID) -> Bool { (deaths[task]?.count ?? 0) >= policy.deathsPerTask - 1 }

  private mutating func accept(_ task: TaskID, _ lease: Lease, _ worker: WorkerID) {
    if !isLive(lease, task, worker) { violate("\(task) was accepted under the dead lease \(lease.number)") }
    for lease in live[task] ?? [] { end(lease) }
  }

  private mutating func quarantine(_ culprit: QuarantinedTask) {
    let expected = deaths[culprit.task] ?? []
    if culprit.workers.count < policy.deathsPerTask || culprit.workers.sorted() != expected.sorted() {
      violate("\(culprit.task) was quarantined for \(culprit.workers); lost were \(expected)")
    }
    quarantined.insert(culprit.task)
  }

  // MARK: Inputs

  private mutating func check(_ task: TaskID, _ inputs: [TaskInput], _ store: SimulatedStore) {
    for input in inputs {
      guard case .worker(let holder) = input.holder else { continue }
      if slots[holder] == nil {
        violate("\(task) was sent to \(holder), which is not there, for \(input.artifact.name)")
      } else if said[holder]?.contains(input.artifact.digest) != true {
        violate("\(task) was sent to \(holder) for \(input.artifact.digest), which it never had or was to remove")
      }
    }
    switch task {
    case .fit(_, let linear):
      let expected = plan.shards.indices.filter { !plan.shards[$0].isHeldOut }
      let site = plan.linears[linear].site
      for name in [ArtifactRef.gramName(site)] + (site == plan.repairSite ? [ArtifactRef.lossName(site)] : []) {
        let shards = inputs.filter { $0.artifact.name == name }.map(\.index)
        if shards != expected { violate("\(task) was given \(name) of shards \(shards)") }
      }
    case .recollect(let block, _):
      for linear in plan.linears.indices where plan.linears[linear].site != plan.repairSite {
        let input = inputs.first { $0.artifact.name == ArtifactRef.fittedName && $0.index == linear }
        if input == nil || input?.artifact.digest != store.results[.fit(block: block, linear: linear)] {
          violate("\(task) was not given the fitted linear \(linear)")
        }
      }
    case .tune(let block):
      let before = (0..<block).map { store.results[.tune(block: $0)] }
      if inputs.map(\.artifact.digest) != before + [store.merged[block]?.digest] {
        violate("\(task) was given \(inputs.map(\.artifact.digest))")
      }
    case .verify(let block):
      let packed = plan.isTuned ? store.results[.tune(block: block)] : store.merged[block]?.digest
      let given = inputs.last { $0.artifact.name == ArtifactRef.packedName }
      if packed == nil || given?.artifact.digest != packed { violate("\(task) was not given the packed block") }
      checkParameters(task, inputs, ArtifactRef.distilledName, of: plan.distillation.map { $0.stepCount - 1 }, store)
    case .distill(let step, _): checkDistillation(task, step, inputs, store)
    case .update(let step):
      if step == 0 { checkDistillation(task, step, inputs, store) }
      checkParameters(task, inputs, ArtifactRef.parametersName, of: step > 0 ? step - 1 : nil, store)
      let batches = inputs.filter { $0.artifact.name == ArtifactRef.gradientName }.map(\.index)
      if batches != Array(0..<(plan.distillation?.batchCount(ofStep: step) ?? 0)) {
        violate("\(task) was given batches \(batches)")
      }
    case .evaluate: if !inputs.isEmpty { violate("\(task) was given \(inputs.map(\.artifact.name))") }
    case .collect: break
    }
  }

  private mutating func checkDistillation(
    _ task: TaskID, _ step: Int, _ inputs: [TaskInput], _ store: SimulatedStore
  ) {
    let packed = (0..<plan.blockCount).map {
      plan.isTuned ? store.results[.tune(block: $0)] : store.merged[$0]?.digest
    }
    if inputs.filter({ $0.artifact.name == ArtifactRef.packedName }).map(\.artifact.digest) != packed {
      violate("\(task) was not given every packed block")
    }
    checkParameters(task, inputs, ArtifactRef.parametersName, of: step > 0 ? step - 1 : nil, store)
  }

  private mutating func checkParameters(
    _ task: TaskID, _ inputs: [TaskInput], _ name: String, of step: Int?, _ store: SimulatedStore
  ) {
    let given = inputs.filter { $0.artifact.name == name }.map(\.artifact.digest)
    let expected = step.map { [store.results[.update(step: $0)] ?? "nothing"] } ?? []
    if given != expected { violate("\(task) was given \(name) \(given), expected \(expected)") }
  }
}

extension JobPlan {
  /// Tasks whose results the coordinator keeps.
  var results: [TaskID] {
    let ofBlocks = (0..<blockCount).flatMap { block in
      linears.indices.map { TaskID.fit(block: block, linear: $0) } + (isTuned ? [.tune(block: block)] : [])
        + [.verify(block: block)]
    }
    let updates = (0..<(distillation?.stepCount ?? 0)).map { TaskID.update(step: $0) }
    return ofBlocks + updates + (0..<evaluationCount).map { .evaluate(shard: $0) }
  }
}
