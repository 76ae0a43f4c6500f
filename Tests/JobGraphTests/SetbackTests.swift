import JobGraph
import Testing

/// What the scheduler does when something is not there, fails again and again, or waits behind a busy worker.
@Suite struct SetbackTests {
  private let one = WorkerID("one")
  private let two = WorkerID("two")

  /// Blocks of one linear, all of whose sequences are for fits.
  private func plan(blocks: Int, shards: Int) -> JobPlan {
    JobPlan(
      blockCount: blocks, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
      shards: JobPlan.slice(sequences: shards, heldOut: 0, count: shards), propagation: .teacher)
  }

  private func gram(_ task: TaskID) -> ArtifactRef { ArtifactRef(name: "gram/attn_in", digest: "\(task)", size: 4) }

  private func assigned(_ actions: [SchedulerAction]) -> [(worker: WorkerID, task: TaskID, lease: Lease)] {
    actions.compactMap {
      guard case .assign(let worker, let task, let lease, _) = $0 else { return nil }
      return (worker: worker, task: task, lease: lease)
    }
  }

  /// For how long workers are set aside.
  private func pauses(_ actions: [SchedulerAction]) -> [Duration] {
    actions.compactMap { if case .setAside(_, let pause, _) = $0 { pause } else { nil } }
  }

  /// The first failure of a task ends the job.
  private func policyOfOneAttempt() -> SchedulerPolicy {
    var policy = SchedulerPolicy()
    policy.attemptsPerTask = 1
    return policy
  }

  // MARK: Inputs that are not there

  @Test func aMissingInputIsMadeAgainOnceForFreeAndIsAFailureTheSecondTime() throws {
    var policy = SchedulerPolicy()
    policy.failuresPerWorker = 1
    var scheduler = Scheduler(plan: plan(blocks: 2, shards: 1), policy: policy)
    let collect = TaskID.collect(block: 0, shard: 0)
    let fit = TaskID.fit(block: 0, linear: 0)
    let first = try #require(assigned(scheduler.handle(.joined(one, slots: 1), at: .zero)).first)
    #expect(first.task == collect)
    // It goes on with the next block, so that the fit is for another.
    _ = scheduler.handle(.finished(one, collect, first.lease, outputs: [gram(collect)]), at: .seconds(1))
    let tried = try #require(assigned(scheduler.handle(.joined(two, slots: 1), at: .seconds(1))).first)
    #expect(tried.task == fit)

    let missing = scheduler.handle(
      .failed(two, fit, tried.lease, .missingArtifact(digest: gram(collect).digest)), at: .seconds(2))
    #expect(pauses(missing).isEmpty)
    let again = try #require(assigned(missing).first)
    #expect(again.task == collect && again.worker == two)
    let later = scheduler.handle(.finished(two, collect, again.lease, outputs: [gram(collect)]), at: .seconds(3))
    let last = try #require(assigned(later).first)
    #expect(last.task == fit && last.worker == two)

    let gone = scheduler.handle(
      .failed(two, fit, last.lease, .missingArtifact(digest: gram(collect).digest)), at: .seconds(4))
    #expect(gone.contains(.setAside(two, for: policy.setAsidePause, because: .failures(of: [fit]))))
  }

  /// The coordinator never gives up what it serves, so there is nothing to be made again: it is fetched again.
  @Test func aMissingInputThatNoWorkerHoldsIsAFailureTheSecondTime() throws {
    var scheduler = Scheduler(plan: plan(blocks: 1, shards: 1), policy: policyOfOneAttempt())
    let (_, task, lease) = try #require(assigned(scheduler.handle(.joined(one, slots: 1), at: .zero)).first)
    #expect(scheduler.handle(.failed(one, task, lease, .missingArtifact(digest: "packed")), at: .seconds(1)) == [])
    let again = try #require(assigned(scheduler.handle(.tick, at: .seconds(5))).first)
    #expect(again.task == task)
    let actions = scheduler.handle(.failed(one, task, again.lease, .missingArtifact(digest: "packed")), at: .seconds(6))
    #expect(actions.contains { if case .stop(.attemptsExhausted(task, _)) = $0 { true } else { false } })
  }

  /// A disk that spoilt copies of many of the coordinator's artifacts under tasks in hand is no reason to set a worker aside.
  @Test func copiesThatAreAllSpoiltAtOnceSetNobodyAside() {
    let slots = 2 * SchedulerPolicy().failuresPerWorker
    var scheduler = Scheduler(plan: .evaluation(windows: 2 * slots))
    let given = assigned(scheduler.handle(.joined(one, slots: slots), at: .zero))
    #expect(given.count == slots)
    _ = scheduler.handle(.joined(two, slots: 1), at: .zero)
    for item in given {
      let failure = TaskFailure.missingArtifact(digest: "packed")
      let actions = scheduler.handle(.failed(one, item.task, item.lease, failure), at: .seconds(1))
      #expect(pauses(actions).isEmpty)
    }
  }

  // MARK: Workers set aside

  @Test func timesAsideDoubleToALimitAndBeginAnewAfterASuccess() throws {
    var policy = SchedulerPolicy()
    policy.failuresPerWorker = 1
    policy.attemptsPerTask = 100
    var scheduler = Scheduler(plan: .evaluation(windows: 20), policy: policy)
    // Alone it is given tasks all the same.
    var actions = scheduler.handle(.joined(one, slots: 1), at: .zero)
    // Longer than any time aside.
    let step = 1000
    for (index, seconds) in [60, 120, 240, 480, 960, 960, 960].enumerated() {
      let (_, task, lease) = try #require(assigned(actions).first)
      actions = scheduler.handle(.failed(one, task, lease, .other("no")), at: .seconds((index + 1) * step))
      #expect(pauses(actions) == [.seconds(seconds)])
    }
    let (_, good, lease) = try #require(assigned(actions).first)
    actions = scheduler.handle(.finished(one, good, lease, outputs: []), at: .seconds(8 * step))
    #expect(actions.contains(.store(good, lease, one, outputs: [])))
    let (_, bad, next) = try #require(assigned(actions).first)
    #expect(scheduler.handle(.stored(good, lease), at: .seconds(8 * step)).contains(.acknowledge(one, good, lease)))
    actions = scheduler.handle(.failed(one, bad, next, .other("no")), at: .seconds(9 * step))
    #expect(pauses(actions) == [.seconds(60)])
  }

  @Test func whoIsAsideIsNotSetAsideAgain() throws {
    var policy = SchedulerPolicy()
    policy.failuresPerWorker = 1
    policy.attemptsPerTask = 100
    var scheduler = Scheduler(plan: .evaluation(windows: 20), policy: policy)
    let given = assigned(scheduler.handle(.joined(one, slots: 2), at: .zero))
    #expect(given.count == 2)
    var all: [Duration] = []
    for (second, item) in given.enumerated() {
      all += pauses(scheduler.handle(.failed(one, item.task, item.lease, .other("no")), at: .seconds(second)))
    }
    #expect(all == [.seconds(60)])
  }

  // MARK: Tasks that a worker does not take

  @Test func aTaskThatAWorkerDoesNotTakeIsForAnotherFirst() {
    var scheduler = Scheduler(plan: .evaluation(windows: 2))
    let given = assigned(scheduler.handle(.joined(one, slots: 2), at: .zero))
    #expect(given.count == 2)
    #expect(assigned(scheduler.handle(.joined(two, slots: 1), at: .seconds(5))).isEmpty)
    let held = [given[0].lease: given[0].task]
    _ = scheduler.handle(.heard(one, holding: held), at: .seconds(11))
    let again = assigned(scheduler.handle(.tick, at: .seconds(12)))
    #expect(again.map(\.worker) == [two])
    #expect(again.map(\.task) == [given[1].task])
  }

  /// As one whose machine is soon taken away, while it is at its last task.
  @Test func aWorkerThatTurnsTasksDownIsAskedEverMoreRarely() throws {
    var scheduler = Scheduler(plan: .evaluation(windows: 5))
    let given = assigned(scheduler.handle(.joined(one, slots: 2), at: .zero))
    #expect(given.count == 2)
    let held = [given[0].lease: given[0].task]
    var next = given[1]
    for (index, second) in [1, 12, 23].enumerated() {
      let actions = scheduler.handle(.failed(one, next.task, next.lease, .cancelled), at: .seconds(second))
      #expect(assigned(actions).isEmpty)
      #expect(pauses(actions) == (index == 2 ? [scheduler.policy.setAsidePause] : []))
      _ = scheduler.handle(.progressed(one, given[0].task, given[0].lease), at: .seconds(second + 5))
      #expect(assigned(scheduler.handle(.tick, at: .seconds(second + 5))).isEmpty)
      _ = scheduler.handle(.heard(one, holding: held), at: .seconds(second + 11))
      // Alone it is asked again all the same.
      let again = assigned(scheduler.handle(.tick, at: .seconds(second + 11)))
      #expect(again.map(\.worker) == [one])
      next = try #require(again.first)
    }
  }

  /// They were lost with one connection.
  @Test func whatIsMissingAtOneTimeCountsOnceAgainstAWorker() {
    var scheduler = Scheduler(plan: .evaluation(windows: 8))
    #expect(assigned(scheduler.handle(.joined(one, slots: 4), at: .zero)).count == 4)
    #expect(pauses(scheduler.handle(.heard(one, holding: [:]), at: .seconds(11))).isEmpty)
  }

  /// Blocks are tuned in turn by one worker, as long as it takes the tunes.
  @Test func aTuneThatTheLastTunerDoesNotTakeIsForAnother() throws {
    let merged = [0, 1].map { ArtifactRef(name: ArtifactRef.packedName, digest: "merged \($0)", size: 1) }
    let tuned = ArtifactRef(name: ArtifactRef.packedName, digest: "tuned", size: 1)
    let plan = JobPlan(
      blockCount: 2, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
      shards: JobPlan.slice(sequences: 1, heldOut: 0, count: 1), propagation: .teacher, isTuned: true)
    var scheduler = Scheduler(
      plan: plan, fitted: [.fit(block: 0, linear: 0): merged[0], .fit(block: 1, linear: 0): merged[1]],
      merged: [0: merged[0], 1: merged[1]])
    let first = try #require(assigned(scheduler.handle(.joined(one, slots: 2), at: .zero)).first)
    #expect(first.task == .tune(block: 0))
    #expect(assigned(scheduler.handle(.joined(two, slots: 2), at: .zero)).isEmpty)
    _ = scheduler.handle(.finished(one, first.task, first.lease, outputs: [tuned]), at: .seconds(1))
    let next = assigned(scheduler.handle(.stored(first.task, first.lease), at: .seconds(1)))
    #expect(next.map(\.worker) == [one, two])
    #expect(next.map(\.task) == [.tune(block: 1), .verify(block: 0)])
    let held = Dictionary(uniqueKeysWithValues: next.filter { $0.worker == two }.map { ($0.lease, $0.task) })
    _ = scheduler.handle(.heard(two, holding: held), at: .seconds(10))
    _ = scheduler.handle(.heard(one, holding: [:]), at: .seconds(12))
    let again = assigned(scheduler.handle(.tick, at: .seconds(13)))
    #expect(again.map(\.worker) == [two])
    #expect(again.map(\.task) == [.tune(block: 1)])
  }

  // MARK: Results that cannot be stored

  @Test func aResultThatCannotBeFetchedIsMadeAgainButNotForEver() throws {
    var scheduler = Scheduler(plan: .evaluation(windows: 1))
    let limit = scheduler.policy.attemptsPerTask
    let task = TaskID.evaluate(shard: 0)
    var actions = scheduler.handle(.joined(one, slots: 1), at: .zero)
    for attempt in 1...limit {
      let given = try #require(assigned(actions).first, "attempt \(attempt)")
      #expect(given.task == task)
      let time = 100 * attempt
      actions = scheduler.handle(.finished(one, task, given.lease, outputs: []), at: .seconds(time))
      #expect(actions == [.store(task, given.lease, one, outputs: [])])
      actions = scheduler.handle(.storeFailed(task, given.lease, reason: "gone"), at: .seconds(time + 1))
      if attempt == limit { break }
      #expect(assigned(actions).isEmpty, "it is not given out again at once")
      actions = scheduler.handle(.heard(one, holding: [given.lease: task]), at: .seconds(time + 60))
      // Nobody will acknowledge it.
      #expect(actions.contains(.cancel(one, task, given.lease)))
    }
    #expect(actions == [.stop(.attemptsExhausted(task, "gone"))])
  }

  @Test func aResultThatIsLostWithItsWorkerIsNobodysFault() throws {
    var scheduler = Scheduler(plan: .evaluation(windows: 1), policy: policyOfOneAttempt())
    let task = TaskID.evaluate(shard: 0)
    for index in 0..<10 {
      let worker = WorkerID("w\(index)")
      let time = 100 * index
      let actions = scheduler.handle(.joined(worker, slots: 1), at: .seconds(time))
      let given = try #require(assigned(actions).first, "worker \(index)")
      #expect(given.task == task)
      _ = scheduler.handle(.finished(worker, task, given.lease, outputs: []), at: .seconds(time + 1))
      _ = scheduler.handle(.lost(worker), at: .seconds(time + 2))
      #expect(scheduler.handle(.storeFailed(task, given.lease, reason: "gone"), at: .seconds(time + 3)) == [])
    }
  }

  // MARK: Shards of busy workers

  /// `one` has run block 0 over all shards and is at the first of block 1; `two` joins with slots to spare.
  private func tasksOfASecondWorker(shards: Int) throws -> [TaskID] {
    var scheduler = Scheduler(plan: plan(blocks: 2, shards: shards))
    var actions = scheduler.handle(.joined(one, slots: 1), at: .zero)
    for shard in 0..<shards {
      let (_, task, lease) = try #require(assigned(actions).first)
      #expect(task == .collect(block: 0, shard: shard))
      actions = scheduler.handle(.finished(one, task, lease, outputs: [gram(task)]), at: .seconds(shard))
    }
    #expect(assigned(actions).map(\.task) == [.collect(block: 1, shard: 0)])
    return assigned(scheduler.handle(.joined(two, slots: 4), at: .seconds(shards))).map(\.task)
  }

  @Test func theLastShardThatWaitsForABusyWorkerGoesToAnIdleOne() throws {
    // The fit comes first; one shard is left to its owner.
    #expect(try tasksOfASecondWorker(shards: 3) == [.fit(block: 0, linear: 0), .collect(block: 1, shard: 2)])
    #expect(
      try tasksOfASecondWorker(shards: 4)
        == [.fit(block: 0, linear: 0), .collect(block: 1, shard: 3), .collect(block: 1, shard: 2)])
  }

  @Test func theOnlyShardThatWaitsStaysWithItsOwner() throws {
    #expect(try tasksOfASecondWorker(shards: 2) == [.fit(block: 0, linear: 0)])
  }
}
