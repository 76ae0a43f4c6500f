import Foundation
import JobGraph
import Messaging

// What is kept of what happens: a history in the job's directory, and counts for those who watch.
extension JobEngine {
  /// Between notes of the pace in the job's directory, where nobody is in a hurry.
  private static let paceInterval = Duration.seconds(2)
  /// Between snapshots for those who watch.
  private static let snapshotInterval = Duration.seconds(1)

  func started(_ task: TaskID, _ lease: Lease, _ inputs: [TaskInput], on worker: WorkerID) {
    history.append(.started(task, lease, on: worker, named: roster.name(of: worker)))
    tally.started(task, lease, on: worker, inputs: inputs)
  }

  @discardableResult
  func ended(_ lease: Lease, _ outcome: AttemptOutcome) -> Bool {
    history.append(.ended(lease, outcome))
    return tally.ended(lease, outcome)
  }

  /// In the history an attempt that its worker broke off has failed too.
  func ended(_ lease: Lease, _ failure: WireTaskFailed) {
    history.append(.ended(lease, .failed, reason: failure.message))
    tally.ended(lease, failure.kind == .cancelled ? .cancelled : .failed)
  }

  /// - Parameters:
  ///   - isDead: whether it did not leave in good order.
  ///   - isSilent: whether its connection may still be there.
  func lose(_ worker: WorkerID, isDead: Bool = false, isSilent: Bool = false) {
    if let peer = roster.peer(of: worker) { link.forget(peer) }
    arrivals[worker] = nil
    roster.leave(worker, silentSince: isSilent ? .now : nil)
    history.append(.left(worker))
    tally.left(worker, isLost: isDead)
  }

  func fetched(_ result: StoredResult, _ artifacts: [ArtifactRef]) {
    tally.fetched(artifacts)
    errors.add(result)
  }

  func keepBooks(_ pace: JobPace) {
    if isDue(&paceNoted, every: Self.paceInterval) || pace.phase != phaseNoted {
      history.append(.pace(pace))
      phaseNoted = pace.phase
    }
    do {
      try job.store.record(history)
      history = []
      // Whole seconds only: this is for reports.
      if elapsed - secondsSaved >= 5 { try saveSeconds() }
    } catch { fail(.io("\(error)")) }
  }

  func post(_ moment: JobMoment) {
    guard let board, isDue(&snapshotPosted, every: Self.snapshotInterval) else { return }
    board.post(snapshot(moment))
  }

  private func isDue(_ last: inout ContinuousClock.Instant?, every interval: Duration) -> Bool {
    let now = ContinuousClock.now
    if let last, now - last < interval { return false }
    last = now
    return true
  }

  private func snapshot(_ moment: JobMoment) -> JobSnapshot {
    let progress = moment.progress
    let workers = progress.running.map { id, tasks -> JobSnapshot.WorkerState in
      tasks.isEmpty ? (progress.setAside.contains(id) ? .setAside : .idle) : .busy
    }
    return JobSnapshot(
      job: job.record.name, model: job.purpose.model, seconds: job.record.seconds + elapsed,
      pace: moment.pace, tunedBlocks: job.plan.isTuned ? progress.tunes.done : nil,
      verifiedBlocks: progress.verifiedBlocks, tasks: scheduler.taskCounts, tally: tally,
      workers: Dictionary(workers.map { ($0, 1) }, uniquingKeysWith: +),
      workerMemory: workerMemory(of: progress.running.keys),
      linears: job.plan.linears.map(\.name), errors: errors, residentMemory: ProcessMemory.resident,
      processStart: startTime.timeIntervalSince1970)
  }
  private func workerMemory(of workers: some Sequence<WorkerID>) -> [String: JobSnapshot.WorkerMemory] {
    let described = workers.compactMap { roster[$0] }.map { worker in
      (worker.name, JobSnapshot.WorkerMemory(limit: worker.memory, resident: roster.residentMemory[worker.id]))
    }
    return Dictionary(described, uniquingKeysWith: { $1 })
  }
}
