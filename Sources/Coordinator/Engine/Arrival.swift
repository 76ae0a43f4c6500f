import Foundation
import JobGraph
import Logging
import Messaging

/// A worker between its welcome and the last page of its inventory.
struct Arrival {
  /// An inventory that is not complete by then is asked for again, by another welcome.
  static let patience = Duration.seconds(5)

  /// When it was welcomed last.
  var welcomed: ContinuousClock.Instant
  var passes: [TaskID: [ArtifactRef]] = [:]

  init(at now: ContinuousClock.Instant) { welcomed = now }

  /// Takes a page. Passes that the plan does not have are left out.
  mutating func add(_ page: WireInventory, _ plan: JobPlan) {
    for pass in page.passes {
      if let task = TaskID(pass.task, plan) { passes[task] = pass.outputs.compactMap { ArtifactRef($0) } }
    }
  }
}

extension JobEngine {
  /// A worker says what its cache holds; with the last page it has joined. Pages may come again. One that is part of the job has
  /// made a new connection, and still has its tasks and artifacts.
  func add(_ page: WireInventory, of worker: WorkerID) {
    guard var arrival = arrivals[worker], let description = roster[worker], page.jobID == welcome.jobID else { return }
    arrival.add(page, job.plan)
    arrivals[worker] = page.isLast ? nil : arrival
    if !page.isLast { return }
    if scheduler.knows(worker) { return decide(.listed(worker, passes: arrival.passes)) }
    let predecessor = page.predecessor.isEmpty ? nil : WorkerID(page.predecessor)
    let (threads, count) = (description.threads, arrival.passes.count)
    logger.info(
      "worker \(description.name) on \(description.host) joined: \(threads.counted("thread")), \(description.cpu)")
    if count > 0 {
      logger.info("worker \(description.name) has \(count) \(count == 1 ? "pass" : "passes") in its cache")
    }
    history.append(.joined(description))
    let dead = predecessor.flatMap { self.predecessor($0, of: description) }
    let inventory = Inventory(passes: arrival.passes, predecessor: dead)
    decide(.joined(worker, slots: description.slots, memory: description.memory, inventory))
  }

  /// Whoever has the cache of a worker that is part of the job proves that its process is gone. Only one with the same key
  /// is believed: others are missed by their silence.
  private func predecessor(_ predecessor: WorkerID, of heir: WorkerDescription) -> WorkerID? {
    guard scheduler.knows(predecessor), predecessor != heir.id, let known = roster[predecessor], known.key == heir.key
    else { return nil }
    note("worker \(known.name) was lost: \(heir.name) has its cache")
    lose(predecessor, isDead: true)
    return predecessor
  }

  /// What comes from a worker that has not joined yet is of an earlier life, but for its goodbye.
  ///
  /// - Returns: whether the message is dealt with.
  func holdBack(_ message: WorkerMessage, of worker: WorkerID) -> Bool {
    if case .goodbye = message { return false }
    if case .heartbeat = message, let arrival = arrivals[worker], .now - arrival.welcomed >= Arrival.patience,
      let peer = roster.peer(of: worker)
    {
      arrivals[worker]?.welcomed = .now
      try? link.send(.welcome(welcome), to: peer)
    }
    return true
  }
}
