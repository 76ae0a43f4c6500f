import JobGraph

// The coordinator's engine: messages become events, actions become messages and writes.
extension Simulation {
  /// An inventory that has not come by then is asked for again.
  private static let arrivalPatience = 5000

  private var coordinatorTime: Duration { .milliseconds(Int(Double(now - coordinatorStart) * coordinatorRate)) }

  mutating func tell(_ event: SchedulerEvent) {
    guard scheduler != nil else { return }
    let (mine, time) = (coordinator, coordinatorTime)
    ledger.note(event, store)
    for action in scheduler?.handle(event, at: time) ?? [] {
      // An earlier action may have been its last.
      if coordinator != mine || scheduler == nil { return }
      if strikes(faults.crashWhileActingChance) { return crashCoordinator() }
      ledger.note(action, store, at: time)
      perform(action)
    }
  }

  private mutating func perform(_ action: SchedulerAction) {
    switch action {
    case .assign(let worker, let task, let lease, let inputs): send(.assign(task, lease, inputs), to: worker)
    case .store(let task, let lease, let worker, let outputs):
      begin(.store(task, lease, worker, outputs, since: now), within: 20...400)
    case .acknowledge(let worker, _, let lease): send(.resultStored(lease), to: worker)
    case .cancel(let worker, let task, let lease): send(.cancel(task, lease), to: worker)
    case .release(let worker, let artifacts): send(.release(artifacts), to: worker)
    case .dismiss(let worker, _): forget(worker)
    case .forsake(let lost):
      for worker in introduced.sorted() where worker != lost { send(.holderLost(lost), to: worker) }
    case .merge(let block): begin(.merge(block: block), within: 20...200)
    case .assemble: begin(.assemble, within: 20...200)
    case .finish: isFinished = true
    case .stop(let reason): stop(reason)
    case .quarantine, .readmit, .setAside: break
    }
  }

  private mutating func send(_ message: SimulatedMessage, to worker: WorkerID) {
    send(message, from: .coordinator, to: .worker(worker))
  }

  private mutating func begin(_ work: DiskWork, within delay: ClosedRange<Int>) {
    events.push(.disk(work, coordinator: coordinator), at: now + random.draw(delay))
  }

  // MARK: Messages

  mutating func receive(_ message: SimulatedMessage, from worker: WorkerID) {
    if case .ready(let slots) = message {
      introduced.insert(worker)
      self.slots[worker] = slots
      if scheduler?.knows(worker) == false { arrivals[worker] = now }
      return send(.welcome, to: worker)
    }
    guard introduced.contains(worker) else { return send(.introduceYourself, to: worker) }
    if case .inventory(let inventory, let job) = message { return join(worker, inventory, job) }
    if let welcomed = arrivals[worker], !isGoodbye(message) { return holdBack(message, of: worker, welcomed) }
    switch message {
    case .heartbeat(let leases):
      send(.pulse, to: worker)
      tell(.heard(worker, holding: leases))
    case .progress(let task, let lease): tell(.progressed(worker, task, lease))
    case .done(let task, let lease, let outputs): tell(.finished(worker, task, lease, outputs: outputs))
    case .failed(let task, let lease, let failure): tell(.failed(worker, task, lease, failure))
    case .goodbye:
      forget(worker)
      tell(.left(worker))
    default: break
    }
  }

  private func isGoodbye(_ message: SimulatedMessage) -> Bool { if case .goodbye = message { true } else { false } }

  private mutating func join(_ worker: WorkerID, _ inventory: Inventory, _ job: Int) {
    if job != 0 { return }
    if scheduler?.knows(worker) == true { return tell(.listed(worker, passes: inventory.passes)) }
    guard arrivals.removeValue(forKey: worker) != nil else { return }
    if let predecessor = inventory.predecessor { forget(predecessor) }
    tell(.joined(worker, slots: slots[worker] ?? 1, inventory))
  }

  private mutating func holdBack(_ message: SimulatedMessage, of worker: WorkerID, _ welcomed: Int) {
    guard case .heartbeat = message else { return }
    send(.pulse, to: worker)
    if now - welcomed < Self.arrivalPatience { return }
    arrivals[worker] = now
    send(.welcome, to: worker)
  }

  private mutating func forget(_ worker: WorkerID) {
    introduced.remove(worker)
    arrivals[worker] = nil
  }

  mutating func closed(_ worker: WorkerID) {
    let isPart = introduced.contains(worker)
    forget(worker)
    if isPart { tell(.lost(worker)) }
  }

  // MARK: Disk

  mutating func perform(_ work: DiskWork) {
    guard scheduler != nil else { return }
    switch work {
    case .store(let task, let lease, let worker, let outputs, let since):
      switch reach(worker, from: .coordinator, for: outputs.map(\.digest)) {
      case .there: store(task, lease, outputs)
      case .missing: tell(.storeFailed(task, lease, reason: "\(worker) does not have it"))
      case .noAnswer:
        if scheduler?.knows(worker) == true, now - since < Self.fetchTimeout { return begin(work, within: 500...500) }
        tell(.storeFailed(task, lease, reason: "\(worker) does not answer"))
      }
    case .merge(let block):
      if strikes(faults.diskErrorChance) { return endCoordinator() }
      store.writeMerged(block)
      if strikes(faults.workDoneReplyLostChance) { return crashCoordinator() }
      if let artifact = store.merged[block] { tell(.merged(block: block, artifact)) }
    case .assemble:
      if strikes(faults.diskErrorChance) { return endCoordinator() }
      tell(.assembled)
    }
  }

  private mutating func store(_ task: TaskID, _ lease: Lease, _ outputs: [ArtifactRef]) {
    if strikes(faults.diskErrorChance) { return endCoordinator() }
    store.write(task, outputs)
    if strikes(faults.workDoneReplyLostChance) { return crashCoordinator() }
    tell(.stored(task, lease))
  }

  // MARK: Life and death

  mutating func resume() {
    ledger.checkAcknowledged(store)
    coordinator += 1
    coordinatorStart = now
    coordinatorRate = drawnRate()
    scheduler = store.scheduler(plan, policy)
    events.push(.tick(coordinator: coordinator), at: now + 1000)
    tell(.tick)
  }

  mutating func crashCoordinator() {
    forgetCoordinator()
    events.push(.resume, at: now + random.draw(500...20_000))
  }

  /// As after a full disk: it says goodbye, and is resumed by hand.
  private mutating func endCoordinator() {
    for worker in introduced.sorted() { send(.shutdown, to: worker) }
    forgetCoordinator()
    events.push(.resume, at: now + random.draw(1000...5000))
  }

  private mutating func forgetCoordinator() {
    ledger.forgetCoordinator()
    scheduler = nil
    introduced = []
    arrivals = [:]
  }

  /// Whoever reads the job's last line mends what it tells of, and resumes.
  private mutating func stop(_ reason: StopReason) {
    if case .quarantined(let culprits) = reason {
      quarantines += 1
      checkQuarantine(Set(culprits.map(\.task)))
      faults.poison = []
    }
    endCoordinator()
  }

  /// Where nothing else takes workers away, quarantine is for poison alone, and all that does not need it is done.
  private mutating func checkQuarantine(_ culprits: Set<TaskID>) {
    guard faults.losesOnlyToPoison else { return }
    let attainable = Attainable(plan: plan, without: culprits)
    let poison = faults.poison.filter(attainable.canBeTried)
    if !culprits.isSubset(of: poison) || !culprits.isSuperset(of: poison.filter(attainable.isWanted)) {
      ledger.violate("quarantined are \(culprits), poison is \(faults.poison)")
    }
    for task in plan.results where attainable.contains(task) != (store.results[task] != nil) {
      ledger.violate("without \(culprits), \(task) is \(store.results[task] == nil ? "missing" : "there")")
    }
  }
}
