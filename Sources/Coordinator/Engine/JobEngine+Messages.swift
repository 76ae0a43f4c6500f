import Foundation
import JobGraph
import Messaging

extension JobEngine {
  /// A process that lives has made a new connection by then, and said Ready on it.
  private static let rejoinPatience = Duration.seconds(3)

  func handle(_ event: CoordinatorLink.Event) {
    switch event {
    case .message(let message, let peer): handle(message, from: peer)
    case .posted(let work): work()
    case .rejected(let error, let peer, let count):
      note("message \(count) from \(peer.address) rejected: \(error)")
    case .refused(let offender, let reason, let count):
      note("\(count == 1 ? "messages" : "\(count) more messages") from \(offender) are dropped: \(reason)")
    case .withdrawn(let peer):
      if let worker = roster.worker(at: peer) { lost(worker, because: "its key is no longer allowed") }
    case .undelivered(let message, let peer, let reason):
      logger.warning("\(message.kind) to \(peer.address) was not delivered: \(reason)")
      if reason == .vanished, let worker = roster.worker(at: peer) { roster.noteVanished(worker, at: .now) }
    case .failed(let error): fail(.io("\(error)"))
    }
  }

  private func handle(_ message: WorkerMessage, from peer: Peer) {
    if case .ready(let ready) = message { return join(ready, at: peer) }
    guard let worker = roster.worker(at: peer) else { return }
    roster.noteHeard(worker)
    if case .inventory(let inventory) = message { return add(inventory, of: worker) }
    if arrivals[worker] != nil, !scheduler.knows(worker), holdBack(message, of: worker) { return }
    switch message {
    case .ready, .inventory: break
    case .heartbeat(let heartbeat):
      let held = heartbeat.running.compactMap { item in
        TaskID(item.task, job.plan).map { (Lease(number: item.lease), $0) }
      }
      roster.note(worker, residentMemory: heartbeat.residentBytes)
      decide(.heard(worker, holding: Dictionary(held, uniquingKeysWith: { $1 })))
    case .progress(let progress):
      withTask(progress.task, worker) { task in
        remarks[worker, default: [:]][task] = progress.note.cut(to: Self.remarkMax).printable
        decide(.progressed(worker, task, Lease(number: progress.lease)))
      }
    case .taskDone(let done):
      withTask(done.task, worker) { finished($0, done, worker) }
    case .taskFailed(let failed):
      withTask(failed.task, worker) { task in
        let lease = Lease(number: failed.lease)
        ended(lease, failed)
        let line = "\(task.account) failed on \(roster.name(of: worker)): \(failed.message)"
        switch failed.kind {
        case .cancelled: break
        // The job ends by it, and says so.
        case .badInput: logger.info("\(line)")
        default: note(line)
        }
        decide(.failed(worker, task, lease, TaskFailure(failed)))
      }
    case .goodbye(let goodbye):
      note("worker \(roster.name(of: worker)) left: \(goodbye.reason)")
      lose(worker)
      decide(.left(worker))
    }
  }

  /// Gives up workers whose connections have closed and that have not come back. That one has closed tells little: a worker
  /// makes a new one when this coordinator was stopped for a while, and has its tasks in hand all the same.
  func loseVanished() {
    for worker in roster.vanished(by: ContinuousClock.now - Self.rejoinPatience) {
      lost(worker, because: "its connection has closed")
    }
  }

  /// A process that lives, and may, makes a new connection and joins again.
  private func lost(_ worker: WorkerID, because reason: String) {
    note("worker \(roster.name(of: worker)) was lost: \(reason)")
    lose(worker, isDead: true)
    decide(.lost(worker))
  }

  private func withTask(_ wire: WireTaskID, _ worker: WorkerID, _ body: (TaskID) -> Void) {
    if let task = TaskID(wire, job.plan) {
      body(task)
    } else {
      logger.warning("worker \(roster.name(of: worker)) speaks of a task this job does not have")
    }
  }

  private func join(_ ready: WireReady, at peer: Peer) {
    let worker = WorkerDescription(ready, key: peer.key)
    if let known = roster[worker.id], known.key != peer.key {
      return note("\(peer.address) says to be worker \(known.name), but has another key; ignored")
    }
    if let other = roster.worker(at: peer), other != worker.id {
      return note("\(peer.address) says to be worker \(worker.name) on the connection of another; ignored")
    }
    if roster[worker.id] == nil, roster.workers.count >= WorkerRoster.workersMax { return refuse(worker, at: peer) }
    roster.join(worker, at: peer)
    arrivals[worker.id] = Arrival(at: .now)
    do { try link.send(.welcome(welcome), to: peer) } catch { note("cannot welcome \(worker.name): \(error)") }
  }

  private func refuse(_ worker: WorkerDescription, at peer: Peer) {
    var refusal = WireRefuse()
    refusal.code = .tooManyWorkers
    refusal.text =
      "\(WorkerRoster.workersMax) workers have been part of the job since its coordinator was started; resume it"
    note("worker \(worker.name) is refused: \(refusal.text)")
    try? link.send(.refuse(refusal), to: peer)
  }

  private func finished(_ task: TaskID, _ done: WireTaskDone, _ worker: WorkerID) {
    let lease = Lease(number: done.lease)
    let outputs = done.outputs.compactMap { ArtifactRef($0) }
    guard outputs.count == done.outputs.count else { return }
    reports[lease] = done
    decide(.finished(worker, task, lease, outputs: outputs))
    // Taken by the store action if the result counts.
    reports[lease] = nil
    // One that is said again counts once; one that was refused has been cancelled by now.
    if ended(lease, .done) { taskFinished() }
  }
}
