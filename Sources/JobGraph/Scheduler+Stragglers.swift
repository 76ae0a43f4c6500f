extension Scheduler {
  /// Gives tasks that have run much longer than is usual for their kind to workers that have nothing else to do: they may
  /// be faster. The first result counts, and the other attempt is cancelled.
  mutating func giveOutCopies(to workers: [WorkerID], _ actions: inout [SchedulerAction]) {
    let idle = workers.filter(hasFreeSlot)
    if idle.isEmpty { return }
    for task in stragglers {
      guard let worker = idle.first(where: { hasFreeSlot($0) && isAdmissible($0, forCopyOf: task) }) else { continue }
      assign(task, to: worker, &actions)
    }
  }

  /// The longest running first.
  private var stragglers: [TaskID] {
    var found: [(start: Duration, task: TaskID)] = []
    for worker in workers.values {
      for (lease, task) in worker.running {
        let attempts = record(task).attempts
        guard let attempt = attempts.first(where: { $0.lease == lease }), isStraggling(task, attempt),
          attempts.count < policy.attemptsAtATime, record(task).deaths.isEmpty, hasInputs(task)
        else { continue }
        found.append((attempt.start, task))
      }
    }
    return found.sorted { ($0.start, $0.task) < ($1.start, $1.task) }.map(\.task)
  }

  private func isStraggling(_ task: TaskID, _ attempt: Attempt) -> Bool {
    guard let usual = durations.usual(for: task, besides: attempt.worker) else { return false }
    return now - attempt.start > max(usual * policy.stragglerFactor, policy.stragglerMinimum)
  }

  /// Remembers how long an attempt took that has brought the result, and the others, if they straggle, by what they took so far.
  mutating func remember(_ attempt: Attempt, of task: TaskID, and others: [Attempt]) {
    for other in others where isStraggling(task, other) { remember(other, of: task, isSlow: true) }
    remember(attempt, of: task, isSlow: isStraggling(task, attempt))
  }

  private mutating func remember(_ attempt: Attempt, of task: TaskID, isSlow: Bool) {
    workers[attempt.worker]?.isSlow = isSlow
    durations.add(now - attempt.start, of: task, by: attempt.worker)
  }

  /// A verification stays with those that had no hand in the block.
  private func isAdmissible(_ worker: WorkerID, forCopyOf task: TaskID) -> Bool {
    let record = record(task)
    if record.hands.contains(worker) || record.passedOver.contains(worker) { return false }
    if isTooLarge(task, for: worker) { return false }
    return task.kind != .verify || !makers(ofBlock: task.block).contains(worker)
  }
}
