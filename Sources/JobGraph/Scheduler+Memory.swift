// Tasks that a worker was too small for.
extension Scheduler {
  /// What a worker has in hand, or was lost with.
  public func burden(of worker: WorkerID) -> [TaskID] {
    tasks.filter { _, record in
      record.attempts.contains { $0.worker == worker } || record.deaths.contains(worker)
    }.keys.sorted()
  }

  /// The worker has ended for want of memory: what it had in hand, it had not enough for. Known before or after it is lost.
  mutating func ranOutOfMemory(_ worker: WorkerID) {
    let memory = memory(of: worker)
    for task in burden(of: worker) { update(task) { $0.outgrown = max($0.outgrown, memory) } }
  }

  /// Whether the task has been too much for a worker of this size, and there is a larger one to try it first.
  func isTooLarge(_ task: TaskID, for worker: WorkerID) -> Bool {
    let outgrown = record(task).outgrown
    if outgrown == 0 || memory(of: worker) > outgrown { return false }
    return workers.keys.contains { memory(of: $0) > outgrown && !setAside.contains($0) && !isStuck($0) }
  }

  private func memory(of worker: WorkerID) -> Int { memories[worker] ?? 0 }
}
