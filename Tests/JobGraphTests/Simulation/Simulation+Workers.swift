import JobGraph

// What happens on workers, and between them.
extension Simulation {
  static let fetchTimeout = 30_000
  private static let progressPeriod = 2_000
  private static let reminderPeriod = 20

  enum Reach {
    case there
    case missing
    case noAnswer
  }

  /// What comes of asking a worker for artifacts.
  func reach(_ holder: WorkerID, from asker: Party, for digests: [String]) -> Reach {
    if asker == .worker(holder) { return holds(holder, digests) ? .there : .missing }
    guard let worker = workers[holder] else { return .missing }
    if hasFaults && worker.isUnreachable { return .noAnswer }
    if worker.frozenUntil > now || cutEnd(.worker(holder), asker) != nil { return .noAnswer }
    return holds(holder, digests) ? .there : .missing
  }

  private func holds(_ worker: WorkerID, _ digests: [String]) -> Bool {
    digests.allSatisfy { workers[worker]?.cache.held.contains($0) == true }
  }

  private mutating func report(_ messages: [SimulatedMessage], of worker: WorkerID) {
    for message in messages { send(message, from: .worker(worker), to: .coordinator) }
  }

  mutating func receive(_ message: SimulatedMessage, at id: WorkerID) {
    guard let worker = workers[id] else { return }
    if worker.frozenUntil > now {
      return events.push(.delivery(message, from: .coordinator, to: .worker(id)), at: worker.frozenUntil + 1)
    }
    if case .shutdown = message { return remove(id) }
    report(workers[id]?.receive(message, now: now) ?? [], of: id)
    startJobs(id)
  }

  mutating func beat(_ id: WorkerID) {
    guard let worker = workers[id] else { return }
    if worker.frozenUntil > now { return events.push(.beat(id), at: worker.frozenUntil + 1) }
    if worker.hasLostPatience(now: now) { return remove(id) }
    report(workers[id]?.beat(now: now) ?? [], of: id)
    if (now / 1000) % Self.reminderPeriod == 0 { report(worker.unacknowledged, of: id) }
    events.push(.beat(id), at: now + worker.trueTime(1000))
  }

  // MARK: Jobs

  private mutating func startJobs(_ id: WorkerID) {
    while let job = workers[id]?.startNext(now: now) { events.push(.step(id, job: job.number), at: now) }
  }

  mutating func step(_ id: WorkerID, _ number: Int) {
    guard let worker = workers[id], let index = worker.jobs.firstIndex(where: { $0.number == number }) else { return }
    if worker.frozenUntil > now { return events.push(.step(id, job: number), at: worker.frozenUntil + 1) }
    let job = worker.jobs[index]
    switch job.phase {
    case .hanging(let end) where now < end: events.push(.step(id, job: number), at: end)
    case .fetching, .computing, .hanging:
      if job.isCancelled { return end(id, job, .cancelled) }
      if case .fetching(let since) = job.phase { return fetch(id, index, since) }
      compute(id, job)
    case .waiting: break
    }
  }

  private mutating func end(_ id: WorkerID, _ job: SimulatedWorker.Job, _ failure: TaskFailure) {
    if let message = workers[id]?.fail(job, failure) { report([message], of: id) }
    startJobs(id)
  }

  private mutating func fetch(_ id: WorkerID, _ index: Int, _ since: Int) {
    guard let worker = workers[id] else { return }
    let job = worker.jobs[index]
    for input in job.inputs {
      guard case .worker(let holder) = input.holder else { continue }
      switch reach(holder, from: .worker(id), for: [input.artifact.digest]) {
      case .there: continue
      case .noAnswer where !worker.forsaken.contains(holder) && now - since < Self.fetchTimeout:
        return events.push(.step(id, job: job.number), at: now + 500)
      case .missing, .noAnswer:
        // Hidden states can be made from the tokens.
        if input.artifact.name.hasPrefix("hidden/") { continue }
        return end(id, job, .missingArtifact(digest: input.artifact.digest))
      }
    }
    if strikes(faults.hangChance) {
      let end = now + random.draw(10_000...120_000)
      workers[id]?.jobs[index].phase = .hanging(until: end)
      events.push(.step(id, job: job.number), at: end)
    } else {
      let end = now + worker.trueTime(random.draw(200...3000))
      workers[id]?.jobs[index].phase = .computing(until: end)
      events.push(.step(id, job: job.number), at: min(end, now + Self.progressPeriod))
    }
  }

  private mutating func compute(_ id: WorkerID, _ job: SimulatedWorker.Job) {
    if case .computing(let end) = job.phase, now < end {
      report([.progress(job.task, job.lease)], of: id)
      return events.push(.step(id, job: job.number), at: min(end, now + Self.progressPeriod))
    }
    if faults.poison.contains(job.task) { return crash(id) }
    if strikes(faults.failureChance) || hasFaults && workers[id]?.isBroken == true {
      return end(id, job, .other("drawn by the seed"))
    }
    let outputs = outputs(of: job.task)
    if let message = workers[id]?.finish(job, outputs) { report([message], of: id) }
    startJobs(id)
  }

  private func outputs(of task: TaskID) -> [ArtifactRef] {
    let names: [String]
    switch task {
    case .collect(let block, let shard):
      let sites = plan.sites.filter { plan.shards[shard].isHeldOut || $0 != plan.repairSite }
      names = sites.map(ArtifactRef.gramName) + hiddenNames(plan.propagation.stream, madeAt: block)
    case .recollect(let block, _):
      let other: HiddenStream = plan.propagation.stream == .original ? .packed : .original
      names =
        (plan.repairSite.map { [ArtifactRef.gramName($0), ArtifactRef.lossName($0)] } ?? [])
        + hiddenNames(other, madeAt: block)
    case .fit, .tune: names = [ArtifactRef.packedName]
    case .distill: names = [ArtifactRef.gradientName]
    case .update(let step):
      let isLast = step + 1 == plan.distillation?.stepCount
      names = [isLast ? ArtifactRef.distilledName : ArtifactRef.parametersName]
    case .verify, .evaluate: names = []
    }
    return names.map { ArtifactRef(name: $0, digest: "\(task) \($0)", size: 1) }
  }

  /// The original stream behind the block, the packed one in front of it.
  private func hiddenNames(_ stream: HiddenStream, madeAt block: Int) -> [String] {
    let block = stream == .original ? block + 1 : block
    return block > 0 ? [ArtifactRef.hiddenName(stream, block)] : []
  }

  // MARK: Life and death

  /// The process is gone; another is started in its place.
  private mutating func remove(_ id: WorkerID) {
    if let worker = workers.removeValue(forKey: id) { caches.append(worker.cache) }
    events.push(.join, at: now + random.draw(1000...5000))
  }

  mutating func crash(_ id: WorkerID) {
    remove(id)
    // Otherwise it is missed by its silence.
    if random.chance(0.5) { events.push(.closed(id, coordinator: coordinator), at: now + random.draw(1...2000)) }
  }

  mutating func leave(_ id: WorkerID) {
    report([.goodbye], of: id)
    remove(id)
  }

  mutating func freeze(_ id: WorkerID, for time: Int) {
    let end = min(now + time, faults.end)
    workers[id]?.frozenUntil = end
    // Who stood still does not count that as the coordinator's silence.
    workers[id]?.lastHeard = end
  }
}
