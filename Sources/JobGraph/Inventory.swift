/// What a worker's cache has of the job when it joins.
public struct Inventory: Sendable, Equatable {
  /// Passes over shards that were made before, with those of their outputs that are still there.
  public var passes: [TaskID: [ArtifactRef]]
  /// The worker that had the cache before. Its process has ended.
  public var predecessor: WorkerID?

  public init(passes: [TaskID: [ArtifactRef]] = [:], predecessor: WorkerID? = nil) {
    self.passes = passes
    self.predecessor = predecessor
  }
}

extension Scheduler {
  /// Counts the passes that a worker has as done there, if they are wanted and not done elsewhere. The rest may go.
  mutating func take(
    _ passes: [TaskID: [ArtifactRef]], of worker: WorkerID, _ actions: inout [SchedulerAction]
  ) {
    var spent: [ArtifactRef] = []
    for (task, outputs) in passes.sorted(by: { $0.key < $1.key }) {
      let sums = awaitedSums(of: task)
      let awaited = sums.union(awaitedStates(of: task))
      let kept = outputs.filter { awaited.contains($0.name) }
      // Hidden states can be made again without the sums, so one that lacks them may still count.
      let isWhole = !kept.isEmpty && sums.isSubset(of: kept.map(\.name))
      let isOpen = record(task).isPending || !record(task).attempts.isEmpty
      spent += isWhole && isOpen ? outputs.filter { !awaited.contains($0.name) } : outputs
      if isWhole && isOpen { accept(task, kept, of: worker, &actions) }
    }
    releaseUnneeded(spent, on: worker, &actions)
  }

  /// A release may have been lost with the worker's last connection: what it still has and nobody wants is released again. Not
  /// what its attempts use and make, which is on nobody's books yet: their results may be on the way.
  mutating func listed(
    _ worker: WorkerID, _ passes: [TaskID: [ArtifactRef]], _ actions: inout [SchedulerAction]
  ) {
    heard(worker, &actions)
    guard workers[worker] != nil else { return }
    let attempts = attempts(of: worker)
    let inUse = Set(attempts.flatMap { $0.attempt.sources.keys })
    let idle = passes.filter { task, _ in !attempts.contains { $0.task == task } }
    let spent = idle.values.joined().filter { !inUse.contains($0.digest) }
    releaseUnneeded(spent.sorted { ($0.digest, $0.name) < ($1.digest, $1.name) }, on: worker, &actions)
  }

  /// Whoever is at it may stop.
  private mutating func accept(
    _ task: TaskID, _ outputs: [ArtifactRef], of worker: WorkerID, _ actions: inout [SchedulerAction]
  ) {
    let attempts = record(task).attempts
    for attempt in attempts { actions.append(.cancel(attempt.worker, task, attempt.lease)) }
    // What went wrong with it since then still counts: this result is older.
    update(task) {
      $0.state = .done
      $0.worker = worker
      $0.outputs = outputs
    }
    guard case .collect(_, let shard) = task else { return }
    let owner = shardOwners[shard]
    if owner == nil || attempts.contains(where: { $0.worker == owner }) { shardOwners[shard] = worker }
  }

  /// Names of the sums among a pass's outputs that fits, or a verification, still wait for.
  func awaitedSums(of task: TaskID) -> Set<String> {
    guard tasks[task] != nil, let shard = task.shard else { return [] }
    if plan.shards[shard].isHeldOut {
      return record(.verify(block: task.block)).isDone ? [] : Set(plan.sites.map(ArtifactRef.gramName))
    }
    let linears = plan.linears.indices.filter {
      plan.gramSource(block: task.block, linear: $0, shard: shard) == task
        && !record(.fit(block: task.block, linear: $0)).isDone
    }
    return linears.reduce(into: []) { names, linear in
      names.insert(ArtifactRef.gramName(plan.linears[linear].site))
      if plan.repairs(linear) { names.insert(ArtifactRef.lossName(plan.linears[linear].site)) }
    }
  }

  /// Names of the hidden states among a pass's outputs that other passes still wait for.
  private func awaitedStates(of task: TaskID) -> Set<String> {
    guard tasks[task] != nil, let shard = task.shard else { return [] }
    var names: Set<String> = []
    for stream in HiddenStream.allCases {
      for block in task.block...task.block + 1
      where plan.producer(of: stream, block: block, shard: shard) == task
        && isHiddenAwaited(stream, block: block, shard: shard)
      {
        names.insert(ArtifactRef.hiddenName(stream, block))
      }
    }
    return names
  }
}
