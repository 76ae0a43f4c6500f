import JobGraph
import Testing

/// Single decisions, by name.
@Suite struct SchedulerTests {
  let one = WorkerID("one")
  let two = WorkerID("two")

  func scheduler(
    fitted: Set<TaskID> = [], merged: [Int: ArtifactRef] = [:], verified: Set<Int> = [],
    propagation: JobPlan.Propagation = .teacher
  ) -> Scheduler {
    let plan = JobPlan(
      blockCount: 2,
      linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
      shards: JobPlan.slice(sequences: 3, heldOut: 1, count: 2), propagation: propagation)
    let packed = ArtifactRef(name: ArtifactRef.packedName, digest: "f", size: 1)
    return Scheduler(
      plan: plan, fitted: Dictionary(uniqueKeysWithValues: fitted.map { ($0, packed) }), merged: merged,
      verified: verified)
  }

  /// A plan of many tasks that can be given out at once.
  func wideScheduler() -> Scheduler {
    Scheduler(
      plan: JobPlan(
        blockCount: 1, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
        shards: JobPlan.slice(sequences: 16, heldOut: 2, count: 16), propagation: .teacher))
  }

  func assigned(_ actions: [SchedulerAction]) -> [(WorkerID, TaskID, Lease)] {
    actions.compactMap {
      if case .assign(let worker, let task, let lease, _) = $0 { (worker, task, lease) } else { nil }
    }
  }

  /// A worker that holds nothing is heard of, and what has waited for its time is given out.
  func beat(_ worker: WorkerID, _ scheduler: inout Scheduler, at second: Int) -> [SchedulerAction] {
    scheduler.handle(.heard(worker, holding: [:]), at: .seconds(second)) + scheduler.handle(.tick, at: .seconds(second))
  }

  let gram = ArtifactRef(name: "gram/attn_in", digest: "aa", size: 4)

  @Test func slicingKeepsHeldOutSequencesApart() {
    let shards = JobPlan.slice(sequences: 64, heldOut: 8, count: 16)
    #expect(shards.count == 16)
    #expect(shards.filter(\.isHeldOut).map(\.firstSequence) == [56, 60])
    #expect(shards.allSatisfy { $0.sequenceCount == 4 })
    #expect(JobPlan.slice(sequences: 1, heldOut: 0, count: 16).count == 1)
    for (sequences, heldOut, count) in [(3, 1, 2), (7, 3, 4), (100, 1, 1), (5, 4, 3), (16, 2, 16)] {
      let shards = JobPlan.slice(sequences: sequences, heldOut: heldOut, count: count)
      #expect(shards.reduce(0) { $0 + $1.sequenceCount } == sequences)
      #expect(shards.filter(\.isHeldOut).reduce(0) { $0 + $1.sequenceCount } == heldOut)
      #expect(shards.allSatisfy { $0.sequenceCount > 0 })
    }
  }

  @Test func aResultUnderADeadLeaseIsDroppedAndItsOutputsReleased() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    // Heart beats, but no progress: the lease runs out, the worker stays.
    for second in 1...130 { _ = scheduler.handle(.heard(one, holding: [lease: task]), at: .seconds(second)) }
    let expired = scheduler.handle(.tick, at: .seconds(131))
    #expect(expired.contains(.cancel(one, task, lease)))
    let late = scheduler.handle(.finished(one, task, lease, outputs: [gram]), at: .seconds(132))
    #expect(late.contains(.release(one, [gram])))
    // Nobody will acknowledge it, so the worker is told not to say it again.
    #expect(late.contains(.cancel(one, task, lease)))
    #expect(scheduler.staleResults == 1)
  }

  @Test func nobodyIsBlamedForATimeInWhichTheCoordinatorStoodStill() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    _ = scheduler.handle(.heard(one, holding: [lease: task]), at: .seconds(5))
    #expect(scheduler.handle(.stoodStill(.seconds(500)), at: .seconds(505)).isEmpty)
    #expect(scheduler.handle(.tick, at: .seconds(506)).isEmpty)
    // What it had left of its time it has now.
    #expect(scheduler.handle(.tick, at: .seconds(514)).isEmpty)
    let actions = scheduler.handle(.tick, at: .seconds(516))
    #expect(actions.contains { if case .dismiss(one, _) = $0 { true } else { false } })
  }

  @Test func aRepeatedResultReleasesNothingThatIsNeeded() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    _ = scheduler.handle(.finished(one, task, lease, outputs: [gram]), at: .seconds(1))
    let other = ArtifactRef(name: "gram/mlp_in", digest: "bb", size: 4)
    let again = scheduler.handle(.finished(one, task, lease, outputs: [gram, other]), at: .seconds(2))
    #expect(again.contains(.release(one, [other])))
    #expect(scheduler.staleResults == 1)
  }

  @Test func aResultOfAnotherTaskThanTheLeasesFreesNoSlot() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    let wrong = scheduler.handle(.finished(one, .verify(block: 1), lease, outputs: []), at: .seconds(1))
    #expect(assigned(wrong).isEmpty)
    #expect(!wrong.contains { if case .cancel = $0 { true } else { false } })
    _ = scheduler.handle(.left(one), at: .seconds(2))
    // Gone with its worker, and so given to another.
    let later = scheduler.handle(.joined(two, slots: 8), at: .seconds(3))
    #expect(assigned(later).contains { $0.1 == task })
  }

  @Test func aSilentWorkerIsDismissedAndItsTaskGoesToAnother() {
    var scheduler = scheduler()
    let (_, task, _) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    _ = scheduler.handle(.joined(two, slots: 4), at: .zero)
    _ = scheduler.handle(.heard(two, holding: [:]), at: .seconds(11))
    let actions = scheduler.handle(.tick, at: .seconds(12))
    #expect(actions.contains { if case .dismiss(one, _) = $0 { true } else { false } })
    let later = beat(two, &scheduler, at: 13)
    #expect(assigned(actions + later).contains { $0.0 == two && $0.1 == task })
    #expect(scheduler.lostWorkers == 1)
    let back = scheduler.handle(.heard(one, holding: [:]), at: .seconds(14))
    #expect(back.contains { if case .dismiss(one, _) = $0 { true } else { false } })
  }

  @Test func aTaskTheWorkerNeverGotIsGivenOutAgain() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 2), at: .zero))[0]
    #expect(assigned(scheduler.handle(.heard(one, holding: [:]), at: .seconds(5))).isEmpty)
    _ = scheduler.handle(.heard(one, holding: [:]), at: .seconds(12))
    let again = assigned(beat(one, &scheduler, at: 13))
    #expect(again.contains { $0.1 == task && $0.2 != lease })
  }

  @Test func aHeartbeatThatBringsNothingNewGivesNothingOut() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    _ = scheduler.handle(.failed(one, task, lease, .cancelled), at: .seconds(1))
    #expect(scheduler.handle(.heard(one, holding: [:]), at: .seconds(12)).isEmpty)
    #expect(assigned(scheduler.handle(.tick, at: .seconds(12))).map(\.1) == [task])
  }

  @Test func badInputStopsTheJob() {
    var scheduler = scheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    let actions = scheduler.handle(.failed(one, task, lease, .badInput("NaN in q")), at: .seconds(1))
    #expect(actions == [.stop(.badInput(task, "NaN in q"))])
    #expect(scheduler.handle(.tick, at: .seconds(2)).isEmpty)
  }

  @Test func aTaskThatKeepsFailingStopsTheJobAfterTheLimit() {
    var scheduler = scheduler()
    var actions = scheduler.handle(.joined(one, slots: 1), at: .zero)
    var time = 0
    var attempts = 0
    while let (_, task, lease) = assigned(actions).first, attempts < 100 {
      attempts += 1
      time += 100
      _ = scheduler.handle(.heard(one, holding: [lease: task]), at: .seconds(time))
      actions = scheduler.handle(.failed(one, task, lease, .other("disk full")), at: .seconds(time))
      if case .stop(.attemptsExhausted(_, let reason)) = actions.last {
        #expect(reason.contains("disk full"))
        return
      }
      // A task is not given out again at once.
      actions = assigned(actions).isEmpty ? beat(one, &scheduler, at: time + 60) : actions
    }
    Issue.record("the job never stopped")
  }

  /// Counted as done it would leave the fit waiting for ever.
  @Test func aResultWithoutWhatOthersWaitForIsAFailure() {
    var scheduler = scheduler()
    let (_, collect, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    let stray = ArtifactRef(name: "something else", digest: "s", size: 1)
    let actions = scheduler.handle(.finished(one, collect, lease, outputs: [stray]), at: .seconds(1))
    #expect(actions.contains(.cancel(one, collect, lease)))
    #expect(actions.contains(.release(one, [stray])))
    #expect(!actions.contains(.acknowledge(one, collect, lease)))
    #expect(!assigned(actions).contains { $0.1 == .fit(block: 0, linear: 0) })
    let later = beat(one, &scheduler, at: 60)
    #expect(assigned(actions + later).map(\.1) == [collect])
  }

  @Test func aResumedJobDoesNotRepeatStoredWork() {
    let packed = ArtifactRef(name: "packed", digest: "m0", size: 1)
    var scheduler = scheduler(fitted: [.fit(block: 0, linear: 0)], merged: [0: packed], verified: [0])
    let tasks = assigned(scheduler.handle(.joined(one, slots: 8), at: .zero)).map(\.1)
    // The held-out shard has time until the fit is under way.
    #expect(tasks == [.collect(block: 1, shard: 0)])
  }

  @Test func aFinishedJobAssemblesAtOnce() {
    let packed = ArtifactRef(name: "packed", digest: "m", size: 1)
    var scheduler = scheduler(
      fitted: [.fit(block: 0, linear: 0), .fit(block: 1, linear: 0)], merged: [0: packed, 1: packed], verified: [0, 1])
    #expect(scheduler.handle(.tick, at: .zero) == [.assemble])
    #expect(scheduler.handle(.assembled, at: .seconds(1)) == [.finish])
  }

  @Test func verifyGoesToAWorkerThatDidNotFitTheBlock() {
    let packed = ArtifactRef(name: "packed", digest: "m", size: 1)
    var scheduler = scheduler(
      fitted: [.fit(block: 1, linear: 0)], merged: [1: packed], verified: [1])
    // Worker one alone collects and fits block 0; then two joins, collects what is held out, and gets the verification.
    let (_, collect, first) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    let afterCollect = scheduler.handle(.finished(one, collect, first, outputs: [gram]), at: .seconds(1))
    guard let (_, fit, lease) = assigned(afterCollect).first else { Issue.record("no fit"); return }
    #expect(fit == .fit(block: 0, linear: 0))
    let (_, heldOut, second) = assigned(scheduler.handle(.joined(two, slots: 1), at: .seconds(1)))[0]
    #expect(heldOut == .collect(block: 0, shard: 1))
    _ = scheduler.handle(.finished(one, fit, lease, outputs: [packed]), at: .seconds(2))
    _ = scheduler.handle(.stored(fit, lease), at: .seconds(2))
    _ = scheduler.handle(.merged(block: 0, packed), at: .seconds(2))
    let output = ArtifactRef(name: "gram/attn_in", digest: "held out", size: 1)
    let last = scheduler.handle(.finished(two, heldOut, second, outputs: [output]), at: .seconds(3))
    #expect(assigned(last).map { $0.0 } == [two])
    #expect(assigned(last).map { $0.1 } == [.verify(block: 0)])
  }
}
