import JobGraph
import Testing

/// A worker whose slot a task fills for good: its heart beats, and the lease is over. Nobody is to wait for it.
@Suite struct StuckWorkerTests {
  /// The first in order, so that it is asked first.
  private let stuck = WorkerID("a")
  private let other = WorkerID("b")
  private let lost = WorkerID("c")

  /// A job told second by second, in which a task takes one unless it hangs.
  private struct Run {
    var scheduler: Scheduler
    let hangs: (WorkerID, TaskID) -> Bool
    private(set) var hung: [TaskID] = []
    private(set) var end: SchedulerAction?
    /// When it ended.
    private(set) var second = 0
    private var coming: [SchedulerEvent] = []
    private var held: [WorkerID: [Lease: TaskID]] = [:]

    init(_ scheduler: Scheduler, hangs: @escaping (WorkerID, TaskID) -> Bool) {
      self.scheduler = scheduler
      self.hangs = hangs
    }

    mutating func go(_ workers: [WorkerID]) {
      while end == nil, second < 1000 {
        second += 1
        let events = coming
        coming = []
        for event in events { tell(event) }
        for worker in workers { tell(.heard(worker, holding: held[worker] ?? [:])) }
        tell(.tick)
      }
    }

    mutating func tell(_ event: SchedulerEvent) {
      for action in scheduler.handle(event, at: .seconds(second)) { perform(action) }
    }

    private mutating func perform(_ action: SchedulerAction) {
      switch action {
      case .assign(let worker, let task, let lease, _):
        if hangs(worker, task) {
          held[worker, default: [:]][lease] = task
          hung.append(task)
        } else {
          coming.append(.finished(worker, task, lease, outputs: outputs(of: task)))
        }
      case .store(let task, let lease, _, _): coming.append(.stored(task, lease))
      case .merge(let block): coming.append(.merged(block: block, StuckWorkerTests.packed("merged \(block)")))
      case .assemble: coming.append(.assembled)
      case .finish, .stop: end = action
      default: break
      }
    }

    private func outputs(of task: TaskID) -> [ArtifactRef] {
      switch task {
      case .collect: [ArtifactRef(name: ArtifactRef.gramName("attn_in"), digest: "gram of \(task)", size: 1)]
      case .fit, .tune: [StuckWorkerTests.packed("\(task)")]
      default: []
      }
    }
  }

  private static func packed(_ digest: String) -> ArtifactRef {
    ArtifactRef(name: ArtifactRef.packedName, digest: digest, size: 1)
  }

  private func plan(
    blocks: Int, linears: Int = 1, heldOut: Int = 0, propagation: JobPlan.Propagation = .teacher, isTuned: Bool = false
  ) -> JobPlan {
    JobPlan(
      blockCount: blocks,
      linears: (0..<linears).map { JobPlan.Linear(name: "\($0)", site: "attn_in", outFeatures: 8, inFeatures: 8) },
      shards: JobPlan.slice(sequences: 1 + heldOut, heldOut: heldOut, count: 1 + heldOut), propagation: propagation,
      isTuned: isTuned)
  }

  /// The end of a lease, and as long again.
  private var patience: Int { 2 * Int(SchedulerPolicy().leaseDuration.components.seconds) }

  @Test func aVerificationIsNotLeftToIt() {
    let stuck = stuck
    var run = Run(Scheduler(plan: plan(blocks: 1, heldOut: 1))) { worker, _ in worker == stuck }
    for worker in [stuck, other] { run.tell(.joined(worker, slots: 1)) }
    run.go([stuck, other])
    #expect(run.hung == [.collect(block: 0, shard: 0)])
    #expect(run.end == .finish)
    // Until then the one that made the block leaves it to the other.
    #expect(run.second > patience && run.second < patience + 20)
  }

  /// The only one that is ready: two would be shared.
  @Test func aShardThatItHasIsNotLeftToIt() {
    let stuck = stuck
    let plan = plan(blocks: 2, propagation: .student)
    var run = Run(Scheduler(plan: plan)) { worker, task in worker == stuck && task.kind == .fit }
    for worker in [stuck, other] { run.tell(.joined(worker, slots: 1)) }
    run.go([stuck, other])
    #expect(run.hung == [.fit(block: 0, linear: 0)])
    #expect(run.end == .finish)
  }

  /// It tuned the block before.
  @Test func aTuneIsNotLeftToIt() {
    let stuck = stuck
    let fitted = [0, 1].map { (TaskID.fit(block: 0, linear: $0), Self.packed("\($0)")) }
    let scheduler = Scheduler(
      plan: plan(blocks: 2, linears: 2, isTuned: true), fitted: Dictionary(uniqueKeysWithValues: fitted),
      merged: [0: Self.packed("merged")])
    var run = Run(scheduler) { worker, task in worker == stuck && task.kind == .fit }
    // The other one runs the pass, and then one of the fits.
    for worker in [other, stuck] { run.tell(.joined(worker, slots: 1)) }
    run.go([stuck, other])
    #expect(run.hung == [.fit(block: 1, linear: 1)])
    #expect(run.end == .finish)
  }

  @Test func aTaskThatIsTooLargeForTheOthersIsNotLeftToIt() {
    let other = other
    var run = Run(Scheduler(plan: .evaluation(windows: 2))) { worker, _ in worker != other }
    run.tell(.joined(stuck, slots: 1, memory: 200))
    run.tell(.joined(lost, slots: 1, memory: 100))
    for event in [SchedulerEvent.outOfMemory(lost), .lost(lost)] { run.tell(event) }
    run.tell(.joined(other, slots: 1, memory: 100))
    run.go([stuck, other])
    #expect(run.hung == [.evaluate(shard: 0), .evaluate(shard: 1)])
    #expect(run.end == .finish)
    #expect(run.second > patience)
  }

  private func assigned(_ actions: [SchedulerAction]) -> [(worker: WorkerID, task: TaskID, lease: Lease)] {
    actions.compactMap {
      if case .assign(let worker, let task, let lease, _) = $0 { (worker, task, lease) } else { nil }
    }
  }

  /// A copy of its task has won, and it is about to notice.
  @Test func aWorkerWhoseAttemptWasJustCancelledIsWaitedFor() throws {
    var policy = SchedulerPolicy()
    policy.attemptsPerTask = 1
    var scheduler = Scheduler(plan: .evaluation(windows: 4), policy: policy)
    let slow = try #require(assigned(scheduler.handle(.joined(stuck, slots: 1), at: .zero)).first)
    var last = try #require(assigned(scheduler.handle(.joined(other, slots: 1), at: .zero)).first)
    for second in 1...3 {
      let actions = scheduler.handle(.finished(other, last.task, last.lease, outputs: []), at: .seconds(second))
      if second < 3 { last = try #require(assigned(actions).first) }
    }
    _ = scheduler.handle(.heard(stuck, holding: [slow.lease: slow.task]), at: .seconds(8))
    _ = scheduler.handle(.heard(other, holding: [last.lease: last.task]), at: .seconds(8))
    let copy = try #require(assigned(scheduler.handle(.tick, at: .seconds(11))).first)
    #expect(copy.worker == other && copy.task == slow.task)
    let won = scheduler.handle(.finished(other, copy.task, copy.lease, outputs: []), at: .seconds(12))
    #expect(won.contains(.cancel(stuck, slow.task, slow.lease)))
    let failed = scheduler.handle(.storeFailed(last.task, last.lease, reason: "gone"), at: .seconds(12))
    #expect(!failed.contains { if case .stop = $0 { true } else { false } })
    let again = assigned(scheduler.handle(.failed(stuck, slow.task, slow.lease, .cancelled), at: .seconds(13)))
    #expect(again.map(\.worker) == [stuck])
    #expect(again.map(\.task) == [last.task])
  }
}
