extension Scheduler {
  mutating func finished(
    _ worker: WorkerID, _ task: TaskID, _ lease: Lease, _ outputs: [ArtifactRef], _ actions: inout [SchedulerAction]
  ) {
    heard(worker, &actions)
    free(worker, task, lease)
    // Said again because the acknowledgement is not there yet.
    if record(task).isStoring(lease, of: worker) { return }
    guard let attempt = record(task).attempt(lease, on: worker) else {
      staleResults += 1
      guard let record = workers[worker] else { return }
      releaseUnneeded(outputs, on: worker, &actions)
      // Else it is said again, for ever.
      if record.running[lease] == nil { actions.append(.cancel(worker, task, lease)) }
      return
    }
    if let lacking = lacking(outputs, of: task) {
      actions.append(.cancel(worker, task, lease))
      releaseUnneeded(outputs, on: worker, &actions)
      let reason = "worker \(worker): its result has no \(lacking)"
      return giveUp(task, lease, of: worker, .failed(because: reason), &actions)
    }
    let others = record(task).attempts.filter { $0 != attempt }
    for other in others { actions.append(.cancel(other.worker, task, other.lease)) }
    remember(attempt, of: task, and: others)
    switch task {
    case .collect, .recollect, .distill:
      update(task) {
        $0.state = .done
        $0.accept(outputs, of: worker)
      }
      if case .collect(_, let shard) = task { shardOwners[shard] = worker }
      actions.append(.acknowledge(worker, task, lease))
      if let shard = task.shard { releaseHidden(shard: shard, around: task.block, &actions) }
    case .fit, .tune, .update, .verify, .evaluate:
      update(task) {
        $0.state = .storing(attempt)
        $0.worker = worker
        $0.outputs = outputs
      }
      actions.append(.store(task, lease, worker, outputs: outputs))
    }
  }

  /// What others wait for and a result does not have: counted as done it would leave them waiting for ever.
  private func lacking(_ outputs: [ArtifactRef], of task: TaskID) -> String? {
    let names = Set(outputs.map(\.name))
    let ofUpdates: Set = [ArtifactRef.parametersName, ArtifactRef.distilledName]
    let expected: Set<String> =
      switch task {
      case .collect, .recollect: awaitedSums(of: task)
      case .fit, .tune: [ArtifactRef.packedName]
      case .distill: [ArtifactRef.gradientName]
      case .update: names.isDisjoint(with: ofUpdates) ? [ArtifactRef.parametersName] : []
      case .verify, .evaluate: []
      }
    return expected.subtracting(names).min()
  }

  mutating func failed(
    _ worker: WorkerID, _ task: TaskID, _ lease: Lease, _ failure: TaskFailure, _ actions: inout [SchedulerAction]
  ) {
    heard(worker, &actions)
    free(worker, task, lease)
    guard let attempt = record(task).attempt(lease, on: worker) else {
      staleResults += 1
      return
    }
    switch failure {
    case .badInput(let message):
      stop(.badInput(task, message), &actions)
    case .missingArtifact(let digest):
      let isFailure = missed(digest, by: task, sources: attempt.sources[digest] ?? [], &actions)
      let reason = "worker \(worker) could not get artifact \(digest.prefix(12))"
      giveUp(task, lease, of: worker, isFailure ? .failed(because: reason) : .returned, &actions)
    case .cancelled:
      giveUp(task, lease, of: worker, .declined, &actions)
      // It answers at once, and would be asked again at once.
      workers[worker]?.restsUntil = now + policy.assignmentTimeout
      count(declineOf: task, on: worker, &actions)
    case .other(let message):
      giveUp(task, lease, of: worker, .failed(because: "worker \(worker): \(message)"), &actions)
    }
  }

  /// Who is to blame for an input that was not there. Nobody, the first time: a cache that is lost or damaged lacks many inputs
  /// of many tasks, and each is made again, or fetched again from the coordinator, which never gives up its own. If one is
  /// missing again it may be the way there; and if it was made again by the same holder, that one is given nothing for a while:
  /// what it makes may reach nobody.
  ///
  /// - Returns: whether the attempt counts as a failure.
  private mutating func missed(
    _ digest: String, by task: TaskID, sources: Set<WorkerID>, _ actions: inout [SchedulerAction]
  ) -> Bool {
    let before = record(task).missed[digest]
    update(task) { $0.missed[digest, default: []].formUnion(sources) }
    if sources.isEmpty { return before != nil }
    let holders = disown(digest, of: sources)
    guard let before, !holders.isEmpty else { return false }
    for holder in holders.intersection(before).sorted() { setAside(holder, because: .outOfReach(of: task), &actions) }
    return true
  }

  /// An artifact is not where the worker was told: it is made again, on another worker if there is one.
  ///
  /// - Returns: Those of its sources that were still held to have it: none if they are lost, or it has been made again meanwhile.
  private mutating func disown(_ digest: String, of sources: Set<WorkerID>) -> Set<WorkerID> {
    let lost = tasks.compactMap { task, record -> (task: TaskID, holder: WorkerID)? in
      guard record.isDone, let holder = record.worker, sources.contains(holder) else { return nil }
      return record.outputs.contains { $0.digest == digest } ? (task, holder) : nil
    }
    let now = now
    for (task, holder) in lost {
      makeAgain(task)
      update(task) {
        $0.passedOver.insert(holder)
        $0.notBefore = now
      }
      if case .collect(_, let shard) = task { shardOwners[shard] = nil }
    }
    return Set(lost.map(\.holder))
  }

  mutating func stored(_ task: TaskID, _ lease: Lease, _ actions: inout [SchedulerAction]) {
    guard case .storing(let attempt) = record(task).state, attempt.lease == lease else { return }
    let (worker, outputs) = (attempt.worker, record(task).outputs)
    update(task) {
      $0.state = .done
      $0.accept([], of: worker)
    }
    // What it was made of has come from others.
    for source in Set(attempt.sources.values.joined()).union([worker]) { count(successOn: source) }
    if workers[worker] != nil {
      actions.append(.acknowledge(worker, task, lease))
      if !outputs.isEmpty { actions.append(.release(worker, outputs)) }
    }
    switch task {
    case .fit(let block, let linear):
      fitted[task] = outputs.first { $0.name == ArtifactRef.packedName }
      releaseGrams(block: block, linear: linear, &actions)
    case .tune(let block): tuned[block] = outputs.first { $0.name == ArtifactRef.packedName }
    case .update(let step): didUpdate(step, outputs, &actions)
    case .verify(let block): releaseHeldOut(block: block, &actions)
    case .collect, .recollect, .distill, .evaluate: break
    }
  }

  /// The result could not be fetched: from a worker that is still there, that is a failure; else nobody's fault.
  mutating func storeFailed(_ task: TaskID, _ lease: Lease, _ reason: String, _ actions: inout [SchedulerAction]) {
    guard case .storing(let attempt) = record(task).state, attempt.lease == lease else { return }
    let end: AttemptEnd = workers[attempt.worker] == nil ? .returned : .failed(because: reason)
    giveUp(task, lease, of: attempt.worker, end, &actions)
  }

  mutating func didMerge(_ block: Int, _ artifact: ArtifactRef, _ actions: inout [SchedulerAction]) {
    merging.remove(block)
    merged[block] = artifact
  }
}

// What nobody will ask for again.
extension Scheduler {
  private mutating func releaseGrams(block: Int, linear: Int, _ actions: inout [SchedulerAction]) {
    let site = plan.linears[linear].site
    let fits = plan.linears.indices.filter { plan.linears[$0].site == site }
    guard fits.allSatisfy({ record(.fit(block: block, linear: $0)).isDone }) else { return }
    let names: Set = [ArtifactRef.gramName(site), ArtifactRef.lossName(site)]
    let sources = plan.fitShards.map { plan.gramSource(block: block, linear: linear, shard: $0) }
    release(sources, &actions) { names.contains($0) }
    guard plan.repairs(linear) else { return }
    for shard in plan.fitShards { releaseHidden(shard: shard, around: block, &actions) }
  }

  private mutating func releaseHeldOut(block: Int, _ actions: inout [SchedulerAction]) {
    let collects = plan.heldOutShards.map { TaskID.collect(block: block, shard: $0) }
    release(collects, &actions, where: ArtifactRef.isGram)
    for shard in plan.heldOutShards { releaseHidden(shard: shard, around: block, &actions) }
  }

  /// Releases the states around a block that no task waits for any more.
  private mutating func releaseHidden(shard: Int, around block: Int, _ actions: inout [SchedulerAction]) {
    for stream in HiddenStream.allCases {
      for input in max(0, block - 1)...block + 1 where !isHiddenAwaited(stream, block: input, shard: shard) {
        guard let producer = plan.producer(of: stream, block: input, shard: shard) else { continue }
        release([producer], &actions) { $0 == ArtifactRef.hiddenName(stream, input) }
      }
    }
  }

  /// Whether a shard's states in front of a block are still asked for: by the next collect, by the verification if it is held
  /// out, or by a recollect.
  func isHiddenAwaited(_ stream: HiddenStream, block: Int, shard: Int) -> Bool {
    if plan.recollects(using: stream, block: block, shard: shard).contains(where: isRecollectAwaited) { return true }
    guard stream == plan.propagation.stream else { return false }
    if isCollectComing(block: stream == .original ? block : block + 1, shard: shard) { return true }
    return plan.shards[shard].isHeldOut && block < plan.blockCount && !record(.verify(block: block)).isDone
  }

  /// Whether a collect is to be run, or is left out and the one after it is run, which then begins with the same states.
  private func isCollectComing(block: Int, shard: Int) -> Bool {
    guard block < plan.blockCount, !record(.collect(block: block, shard: shard)).isDone else { return false }
    return (block...block + 1).contains { isCollectAwaited(block: $0, shard: shard) }
  }

  /// Whether a fit or verification still needs what the collect makes, or may need it again.
  private func isCollectAwaited(block: Int, shard: Int) -> Bool {
    guard block < plan.blockCount, !record(.collect(block: block, shard: shard)).isDone else { return false }
    return plan.shards[shard].isHeldOut
      ? !record(.verify(block: block)).isDone : plan.firstFits(ofBlock: block).contains { !record($0).isDone }
  }

  /// Takes what matches of the tasks' outputs off the books.
  mutating func release(
    _ tasks: [TaskID], _ actions: inout [SchedulerAction], where matches: (String) -> Bool
  ) {
    var gone: [WorkerID: [ArtifactRef]] = [:]
    for task in tasks {
      let record = record(task)
      guard let holder = record.worker, workers[holder] != nil else { continue }
      let outputs = record.outputs.filter { matches($0.name) }
      if outputs.isEmpty { continue }
      update(task) { $0.outputs.removeAll { matches($0.name) } }
      gone[holder, default: []] += outputs
    }
    releaseUnneeded(gone, &actions)
  }

  func releaseUnneeded(_ artifacts: [ArtifactRef], on worker: WorkerID, _ actions: inout [SchedulerAction]) {
    if !artifacts.isEmpty { releaseUnneeded([worker: artifacts], &actions) }
  }

  /// Releases those of workers' artifacts that are on nobody's books. An artifact is its content: a result that arrives twice
  /// names what the first one brought, and sequences that are the same make the same hidden states and Grams.
  private func releaseUnneeded(_ artifacts: [WorkerID: [ArtifactRef]], _ actions: inout [SchedulerAction]) {
    if artifacts.isEmpty { return }
    var rest = artifacts
    for record in tasks.values where !record.outputs.isEmpty {
      guard let worker = record.worker, rest[worker] != nil else { continue }
      rest[worker]?.removeAll { artifact in record.outputs.contains { $0.digest == artifact.digest } }
    }
    for (worker, artifacts) in rest.sorted(by: { $0.key < $1.key }) where !artifacts.isEmpty {
      actions.append(.release(worker, artifacts))
    }
  }
}
