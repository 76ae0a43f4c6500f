import JobGraph
import Testing

/// Single decisions, by name.
@Suite struct SchedulerTests {
  let one = WorkerID("one")
  let two = WorkerID("two")

  private func scheduler(
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

  private func assigned(_ actions: [SchedulerAction]) -> [(WorkerID, TaskID, Lease)] {
    actions.compactMap {
      if case .assign(let worker, let task, let lease, _) = $0 { (worker, task, lease) } else { nil }
    }
  }

  private let gram = ArtifactRef(name: "gram/attn_in", digest: "aa", size: 4)

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
    let later = scheduler.handle(.heard(two, holding: [:]), at: .seconds(13))
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
    let again = assigned(scheduler.handle(.heard(one, holding: [:]), at: .seconds(13)))
    #expect(again.contains { $0.1 == task && $0.2 != lease })
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
      actions =
        assigned(actions).isEmpty ? scheduler.handle(.heard(one, holding: [:]), at: .seconds(time + 60)) : actions
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
    let later = scheduler.handle(.heard(one, holding: [:]), at: .seconds(60))
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

  // MARK: Quarantine

  /// Gives out a task to a new worker, which is lost with it.
  private func die(
    _ name: String, of task: TaskID = .collect(block: 0, shard: 0), _ scheduler: inout Scheduler, at second: Int
  ) -> [SchedulerAction] {
    let worker = WorkerID(name)
    let given = assigned(scheduler.handle(.joined(worker, slots: 1), at: .seconds(second)))
    #expect(given.map(\.1) == [task])
    return scheduler.handle(.lost(worker), at: .seconds(second + 1))
  }

  private let poison = QuarantinedTask(
    task: .collect(block: 0, shard: 0), workers: [WorkerID("a"), WorkerID("b"), WorkerID("c")])

  @Test func theRestGoesOnWithoutAQuarantinedTask() {
    let packed = [0, 1].map { ArtifactRef(name: "packed", digest: "m\($0)", size: 1) }
    var scheduler = scheduler(
      fitted: [.fit(block: 0, linear: 0), .fit(block: 1, linear: 0)], merged: [0: packed[0], 1: packed[1]],
      propagation: .student)
    // Nothing is missing but the two verifications, each with a collect of held-out data of its own.
    let poison = TaskID.collect(block: 0, shard: 1)
    for (index, name) in ["a", "b", "c"].enumerated() { _ = die(name, of: poison, &scheduler, at: 100 * index) }
    let collects = assigned(scheduler.handle(.joined(one, slots: 1), at: .seconds(300)))
    #expect(collects.map(\.1) == [.collect(block: 1, shard: 1)])
    let verifications = assigned(
      scheduler.handle(.finished(one, collects[0].1, collects[0].2, outputs: [gram]), at: .seconds(301)))
    #expect(verifications.map(\.1) == [.verify(block: 1)])
    let (_, task, lease) = verifications[0]
    _ = scheduler.handle(.finished(one, task, lease, outputs: []), at: .seconds(302))
    let last = scheduler.handle(.stored(task, lease), at: .seconds(303)).last
    #expect(
      last == .stop(.quarantined([QuarantinedTask(task: poison, workers: ["a", "b", "c"].map { WorkerID($0) })])))
  }

  @Test func aQuarantinedTaskEndsAJobInWhichAllElseNeedsIt() {
    var scheduler = scheduler()
    #expect(!die("a", &scheduler, at: 0).contains { if case .quarantine = $0 { true } else { false } })
    _ = die("b", &scheduler, at: 100)
    let last = die("c", &scheduler, at: 200)
    #expect(last.contains(.quarantine(poison)))
    #expect(last.last == .stop(.quarantined([poison])))
  }

  @Test func aWorkerThatComesBackDidNotDie() {
    var scheduler = scheduler()
    _ = die("a", &scheduler, at: 0)
    _ = die("b", &scheduler, at: 100)
    _ = scheduler.handle(.joined(WorkerID("a"), slots: 1), at: .seconds(150))
    _ = scheduler.handle(.left(WorkerID("a")), at: .seconds(151))
    #expect(!die("c", &scheduler, at: 200).contains { if case .quarantine = $0 { true } else { false } })
  }

  @Test func aWorkerThatSaysGoodbyeDidNotDie() {
    var scheduler = scheduler()
    for second in 0..<5 {
      let worker = WorkerID("w\(second)")
      let given = assigned(scheduler.handle(.joined(worker, slots: 1), at: .seconds(100 * second)))
      #expect(given.map(\.1) == [.collect(block: 0, shard: 0)])
      _ = scheduler.handle(.left(worker), at: .seconds(100 * second + 1))
    }
  }

  @Test func aSuspectHasItsWorkerToItself() {
    var scheduler = scheduler()
    _ = die("a", &scheduler, at: 0)
    _ = die("b", &scheduler, at: 100)
    let given = assigned(scheduler.handle(.joined(one, slots: 4), at: .seconds(200)))
    #expect(given.map(\.1) == [.collect(block: 0, shard: 0)])
  }

  // MARK: Workers that fail

  /// A plan of many tasks that can be given out at once.
  private func wideScheduler() -> Scheduler {
    Scheduler(
      plan: JobPlan(
        blockCount: 1, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
        shards: JobPlan.slice(sequences: 16, heldOut: 2, count: 16), propagation: .teacher))
  }

  @Test func aWorkerOnWhichTaskAfterTaskFailsIsSetAside() {
    var scheduler = wideScheduler()
    _ = scheduler.handle(.joined(two, slots: 1), at: .zero)
    var actions = scheduler.handle(.joined(one, slots: 1), at: .zero)
    for second in 1...3 {
      guard let (_, task, lease) = assigned(actions).first(where: { $0.0 == one }) else {
        Issue.record("nothing was given out")
        return
      }
      _ = scheduler.handle(.heard(two, holding: [:]), at: .seconds(second))
      actions = scheduler.handle(.failed(one, task, lease, .other("no")), at: .seconds(second))
    }
    #expect(actions.contains { if case .setAside(one, .seconds(60), _) = $0 { true } else { false } })
    #expect(assigned(actions).allSatisfy { $0.0 != one })
    #expect(scheduler.progress.setAside == [one])
    // With nobody else there it is as good as any.
    #expect(assigned(scheduler.handle(.left(two), at: .seconds(4))).contains { $0.0 == one })
  }

  @Test func aTaskThatFailedGoesToAnotherWorker() {
    var scheduler = wideScheduler()
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 16), at: .zero))[0]
    _ = scheduler.handle(.joined(two, slots: 1), at: .zero)
    _ = scheduler.handle(.failed(one, task, lease, .other("no")), at: .seconds(1))
    let given = assigned(scheduler.handle(.heard(two, holding: [:]), at: .seconds(2)))
    #expect(given.map(\.0) == [two])
    #expect(given.map(\.1) == [task])
  }

  @Test func pausesDoubleAndDoNotAgree() {
    let policy = SchedulerPolicy()
    let tasks = (0..<100).map { TaskID.fit(block: $0, linear: 0) }
    for count in 1...20 {
      let whole = min(policy.shortestPause * (1 << (count - 1)), policy.longestPause)
      let pauses = tasks.map { policy.pause(before: $0, after: count) }
      #expect(pauses.allSatisfy { $0 >= whole / 2 && $0 <= whole })
      #expect(Set(pauses).count > 90)
      #expect(pauses == tasks.map { policy.pause(before: $0, after: count) })
    }
  }

  // MARK: Stragglers

  /// All collects but the last are done in a second each by `one`; `two` has nothing to do.
  private func straggling(_ scheduler: inout Scheduler) -> (task: TaskID, lease: Lease) {
    let given = assigned(scheduler.handle(.joined(one, slots: 16), at: .zero))
    for (_, task, lease) in given.dropLast() {
      let output = ArtifactRef(name: "gram/attn_in", digest: "\(task)", size: 1)
      _ = scheduler.handle(.finished(one, task, lease, outputs: [output]), at: .seconds(1))
    }
    _ = scheduler.handle(.joined(two, slots: 1), at: .seconds(2))
    let (_, task, lease) = given[given.count - 1]
    return (task, lease)
  }

  private func bothBeat(_ scheduler: inout Scheduler, _ held: [Lease: TaskID], at second: Int) -> [SchedulerAction] {
    scheduler.handle(
      .progressed(one, held.values.first ?? .tune(block: 0), held.keys.first ?? Lease(number: 0)),
      at: .seconds(second))
      + scheduler.handle(.heard(two, holding: [:]), at: .seconds(second))
  }

  @Test func aStragglerIsGivenOutTwiceAndTheFirstResultCounts() {
    var scheduler = wideScheduler()
    let (task, lease) = straggling(&scheduler)
    #expect(assigned(bothBeat(&scheduler, [lease: task], at: 9)).isEmpty)
    let copies = assigned(bothBeat(&scheduler, [lease: task], at: 11))
    #expect(copies.map(\.0) == [two])
    #expect(copies.map(\.1) == [task])
    guard let (_, _, second) = copies.first else { return }
    let output = ArtifactRef(name: "gram/attn_in", digest: "late", size: 1)
    let first = scheduler.handle(.finished(two, task, second, outputs: [output]), at: .seconds(12))
    #expect(first.contains(.cancel(one, task, lease)))
    #expect(first.contains(.acknowledge(two, task, second)))
    let late = scheduler.handle(.finished(one, task, lease, outputs: [output]), at: .seconds(13))
    #expect(late.contains(.release(one, [output])))
    #expect(scheduler.staleResults == 1)
  }

  @Test func aStragglerWhoseSecondWorkerIsLostGoesOn() {
    var scheduler = wideScheduler()
    let (task, lease) = straggling(&scheduler)
    let copies = assigned(bothBeat(&scheduler, [lease: task], at: 11))
    #expect(copies.count == 1)
    let lost = scheduler.handle(.lost(two), at: .seconds(12))
    #expect(assigned(lost).isEmpty)
    let output = ArtifactRef(name: "gram/attn_in", digest: "late", size: 1)
    let done = scheduler.handle(.finished(one, task, lease, outputs: [output]), at: .seconds(13))
    #expect(done.contains(.acknowledge(one, task, lease)))
  }
}
