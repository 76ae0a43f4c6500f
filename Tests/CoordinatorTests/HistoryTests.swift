import Coordinator
import Foundation
import JobGraph
import TestSupport
import Testing

/// The history of a job, made by hand.
@Suite struct HistoryTests {
  private let directory: TemporaryDirectory
  private let store: JobStore
  private let start = Date(timeIntervalSince1970: 1_700_000_000)
  private let older = WorkerID("older")
  private let newer = WorkerID("newer")

  init() throws {
    directory = try TemporaryDirectory()
    store = try JobStore(path: directory.file("job.sqlite"))
  }

  private func joined(
    _ id: WorkerID, _ name: String, host: String = "h", threads: Int = 2, at seconds: Double
  ) -> HistoryEntry {
    .joined(
      WorkerDescription(
        id: id, name: name, host: host, pid: 1, threads: threads, slots: 1, memory: 1 << 30, cpu: "x",
        artifactEndpoint: "tcp://\(host):1", key: nil), at: start + seconds)
  }

  private func started(
    _ lease: UInt64, _ task: TaskID, on worker: WorkerID, _ name: String, at seconds: Double
  ) -> HistoryEntry {
    .started(task, Lease(number: lease), on: worker, named: name, at: start + seconds)
  }

  private func ended(
    _ lease: UInt64, _ outcome: AttemptOutcome, reason: String? = nil, at seconds: Double
  ) -> HistoryEntry {
    .ended(Lease(number: lease), outcome, reason: reason, at: start + seconds)
  }

  /// A worker that is restarted has the name of the process before it, which is missed later.
  @Test func aProcessLeavesWithoutTheNextOneOfItsName() throws {
    try store.record([
      joined(older, "w", at: 0), started(1, .fit(block: 0, linear: 0), on: older, "w", at: 1),
      joined(newer, "w", at: 2), started(2, .fit(block: 0, linear: 1), on: newer, "w", at: 3),
      .left(older, at: start + 4),
    ])
    #expect(try store.attemptCounts() == ["fit": ["lost": 1, "running": 1]])
    let workers = try store.workers(activeOnly: true, at: start + 5)
    #expect(workers.map(\.name) == ["w"])
    #expect(workers.first?.tasks == ["fit 0/1"])
    // A result that comes after all changes nothing.
    try store.record([ended(1, .done, at: 6), ended(2, .done, at: 7)])
    #expect(try store.attemptCounts() == ["fit": ["lost": 1, "done": 1]])
  }

  @Test func whatACoordinatorLeavesInHandIsAbandoned() throws {
    try store.record([
      joined(older, "w", at: 0), started(1, .fit(block: 0, linear: 0), on: older, "w", at: 1), ended(1, .done, at: 2),
      started(2, .fit(block: 0, linear: 1), on: older, "w", at: 3),
      started(3, .verify(block: 0), on: older, "w", at: 3),
      .quarantined(.fit(block: 1, linear: 0), workers: ["w", "v"]), .setAside(older, until: Date() + 3600),
    ])
    #expect(try store.quarantine().map(\.task) == ["fit 1/0"])
    #expect(try store.quarantine().map(\.workers) == ["w, v"])
    #expect(try store.workersSetAside() == ["w"])
    try store.closeHistory(at: start + 4)
    #expect(try store.attemptCounts() == ["fit": ["done": 1, "abandoned": 1], "verify": ["abandoned": 1]])
    #expect(try store.quarantine().isEmpty)
    #expect(try store.workersSetAside().isEmpty)
    #expect(try store.workers(activeOnly: true).isEmpty)
    let all = try store.workers(activeOnly: false)
    #expect(all.map(\.name) == ["w"])
    #expect(all.first?.tasks == [])
    #expect(all.first?.done == 1)
  }

  @Test func attemptsAreCountedByTheWordOfTheirEnd() throws {
    try store.record([
      started(1, .fit(block: 0, linear: 0), on: older, "w", at: 0), ended(1, .failed, reason: "no space", at: 1),
      started(2, .fit(block: 0, linear: 0), on: older, "w", at: 2), ended(2, .failed, reason: "no memory", at: 3),
      started(3, .fit(block: 0, linear: 0), on: older, "w", at: 4), ended(3, .cancelled, at: 5),
      started(4, .collect(block: 0, shard: 0), on: older, "w", at: 6),
    ])
    #expect(try store.attemptCounts() == ["fit": ["failed": 2, "cancelled": 1], "collect": ["running": 1]])
  }

  @Test func retriesAreOfTheSameTask() throws {
    #expect(try store.retries() == 0)
    try store.record([
      started(1, .fit(block: 0, linear: 1), on: older, "w", at: 0),
      started(2, .collect(block: 0, shard: 1), on: older, "w", at: 0),
      started(3, .fit(block: 1, linear: 1), on: older, "w", at: 0), started(4, .tune(block: 0), on: older, "w", at: 0),
      started(5, .verify(block: 0), on: older, "w", at: 0),
    ])
    #expect(try store.retries() == 0)
    try store.record([
      started(6, .fit(block: 0, linear: 1), on: newer, "v", at: 1),
      started(7, .fit(block: 0, linear: 1), on: older, "w", at: 2), started(8, .tune(block: 0), on: newer, "v", at: 2),
    ])
    #expect(try store.retries() == 3)
  }

  @Test func processesOfANameAreOneWorkerAfterwards() throws {
    try store.record([
      joined(older, "w", host: "a", threads: 1, at: 0), started(1, .fit(block: 0, linear: 0), on: older, "w", at: 1),
      ended(1, .done, at: 39), .left(older, at: start + 50), joined(newer, "w", host: "b", threads: 4, at: 60),
      started(2, .fit(block: 0, linear: 1), on: newer, "w", at: 61), ended(2, .done, at: 90),
      started(3, .fit(block: 0, linear: 2), on: newer, "w", at: 91), ended(3, .failed, reason: "x", at: 92),
      joined(WorkerID("third"), "a", at: 95),
    ])
    let workers = try store.workers(activeOnly: false, at: start + 100)
    #expect(workers.map(\.name) == ["a", "w"])
    #expect(workers.map(\.host) == ["h", "b"])
    #expect(workers.map(\.threads) == [2, 4])
    #expect(workers.map(\.done) == [0, 2])
    #expect(workers.map(\.doneOfLate) == [0, 1])
    #expect(workers.allSatisfy { $0.tasks.isEmpty })
    try store.record([.left(newer, at: start + 101)])
    #expect(try store.workers(activeOnly: true, at: start + 102).map(\.name) == ["a"])
  }

  @Test func aTaskThatIsReadmittedIsNotInQuarantine() throws {
    try store.record([
      .quarantined(.collect(block: 2, shard: 3), workers: ["w"]), .quarantined(.tune(block: 1), workers: ["w"]),
      .quarantined(.collect(block: 2, shard: 3), workers: ["w", "v"]), .readmitted(.tune(block: 1)),
    ])
    #expect(try store.quarantine().map(\.task) == ["collect 2/3"])
    #expect(try store.quarantine().map(\.workers) == ["w, v"])
  }
}
