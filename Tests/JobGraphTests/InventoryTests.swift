import JobGraph
import Testing

/// What workers bring along when they join.
@Suite struct InventoryTests {
  private let one = WorkerID("one")
  private let two = WorkerID("two")
  private let fitted = TaskID.collect(block: 0, shard: 0)
  private let heldOut = TaskID.collect(block: 0, shard: 1)

  /// Two blocks of one linear, a shard for the fits and one held out.
  private func scheduler(fitted: [TaskID: ArtifactRef] = [:]) -> Scheduler {
    let plan = JobPlan(
      blockCount: 2, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
      shards: JobPlan.slice(sequences: 3, heldOut: 1, count: 2), propagation: .teacher)
    return Scheduler(plan: plan, fitted: fitted)
  }

  private func gram(_ shard: Int) -> ArtifactRef { ArtifactRef(name: "gram/attn_in", digest: "gram \(shard)", size: 4) }
  private func hidden(_ shard: Int) -> ArtifactRef {
    ArtifactRef(name: "hidden/original/1", digest: "hidden \(shard)", size: 4)
  }

  private var all: [TaskID: [ArtifactRef]] { [fitted: [gram(0), hidden(0)], heldOut: [gram(1), hidden(1)]] }

  private func assigned(_ actions: [SchedulerAction]) -> [TaskID] {
    actions.compactMap { if case .assign(_, let task, _, _) = $0 { task } else { nil } }
  }

  private func released(_ actions: [SchedulerAction]) -> Set<String> {
    actions.reduce(into: []) { if case .release(_, let artifacts) = $1 { $0.formUnion(artifacts.map(\.digest)) } }
  }

  @Test func passesInACacheAreNotRunAgain() {
    var scheduler = scheduler()
    let actions = scheduler.handle(.joined(one, slots: 9, Inventory(passes: all)), at: .zero)
    // Those of the block after it begin where these ended.
    #expect(Set(assigned(actions)) == [.fit(block: 0, linear: 0), .collect(block: 1, shard: 0)])
    #expect(released(actions) == [])
    let inputs = actions.compactMap { if case .assign(_, .fit, _, let inputs) = $0 { inputs } else { nil } }
    #expect(inputs == [[TaskInput(index: 0, artifact: gram(0), holder: .worker(one))]])
  }

  @Test func theHeirOfACacheTakesItsPredecessorsPlace() {
    var scheduler = scheduler()
    _ = scheduler.handle(.joined(one, slots: 1, Inventory(passes: all)), at: .zero)
    let heir = Inventory(passes: all, predecessor: one)
    let actions = scheduler.handle(.joined(two, slots: 1, heir), at: .seconds(1))
    #expect(actions.contains(.forsake(one)))
    #expect(!scheduler.knows(one))
    #expect(released(actions) == [])
    #expect(!assigned(actions).contains(fitted) && !assigned(actions).contains(heldOut))
    #expect(scheduler.lostWorkers == 1)
  }

  @Test func whatIsDoneElsewhereIsReleased() {
    var scheduler = scheduler()
    _ = scheduler.handle(.joined(one, slots: 1, Inventory(passes: all)), at: .zero)
    let actions = scheduler.handle(.joined(two, slots: 1, Inventory(passes: all)), at: .seconds(1))
    #expect(released(actions) == ["gram 0", "hidden 0", "gram 1", "hidden 1"])
    #expect(scheduler.knows(one))
  }

  @Test func whoeverIsAtItMayStop() {
    var scheduler = scheduler()
    let given = scheduler.handle(.joined(one, slots: 1), at: .zero)
    guard case .assign(_, let task, let lease, _)? = given.first else {
      Issue.record("nothing was given out")
      return
    }
    let actions = scheduler.handle(.joined(two, slots: 1, Inventory(passes: all)), at: .seconds(1))
    #expect(actions.contains(.cancel(one, task, lease)))
    // Its own result comes too late, and is of no use.
    let late = scheduler.handle(.finished(one, task, lease, outputs: [gram(0)]), at: .seconds(2))
    #expect(late.contains(.release(one, [gram(0)])))
  }

  @Test func withoutItsSumsAPassIsRunAgainAndWithoutItsStatesNot() {
    var scheduler = scheduler()
    let passes = [fitted: [hidden(0)], heldOut: [gram(1)]]
    let actions = scheduler.handle(.joined(one, slots: 9, Inventory(passes: passes)), at: .zero)
    #expect(assigned(actions) == [fitted])
    #expect(released(actions) == ["hidden 0"])
  }

  @Test func sumsOfWhatIsFittedAreReleasedAndStatesThatAreWantedAreKept() {
    let packed = ArtifactRef(name: ArtifactRef.packedName, digest: "packed", size: 1)
    var scheduler = scheduler(fitted: [.fit(block: 0, linear: 0): packed])
    let actions = scheduler.handle(.joined(one, slots: 9, Inventory(passes: all)), at: .zero)
    #expect(released(actions) == ["gram 0"])
    #expect(assigned(actions).contains(.collect(block: 1, shard: 0)))
    #expect(!assigned(actions).contains(fitted))
  }

  @Test func tasksThatThePlanDoesNotHaveAreReleased() {
    var scheduler = scheduler()
    let strange: [TaskID: [ArtifactRef]] = [
      .collect(block: 7, shard: 0): [gram(7)], .recollect(block: 0, shard: 0): [gram(8)],
    ]
    let actions = scheduler.handle(.joined(one, slots: 1, Inventory(passes: strange)), at: .zero)
    #expect(released(actions) == ["gram 7", "gram 8"])
  }

  @Test func whatAWorkerStillHasAfterItsReleaseWasLostIsReleasedAgain() {
    let packed = ArtifactRef(name: ArtifactRef.packedName, digest: "packed", size: 1)
    var scheduler = scheduler(fitted: [.fit(block: 0, linear: 0): packed])
    let joined = scheduler.handle(.joined(one, slots: 9, Inventory(passes: all)), at: .zero)
    #expect(released(joined) == ["gram 0"])
    let again = scheduler.handle(.listed(one, passes: all), at: .seconds(1))
    #expect(again == [.release(one, [gram(0)])])
    // Without it nothing is on nobody's books.
    #expect(scheduler.handle(.listed(one, passes: [fitted: [hidden(0)]]), at: .seconds(2)) == [])
  }

  @Test func aResultOnItsWayIsNotReleased() {
    var scheduler = scheduler()
    let given = scheduler.handle(.joined(one, slots: 1), at: .zero)
    guard case .assign(_, let task, let lease, _)? = given.first else {
      Issue.record("nothing was given out")
      return
    }
    #expect(scheduler.handle(.listed(one, passes: [task: [gram(0), hidden(0)]]), at: .seconds(1)) == [])
    let done = scheduler.handle(.finished(one, task, lease, outputs: [gram(0), hidden(0)]), at: .seconds(2))
    #expect(done.contains(.acknowledge(one, task, lease)))
    #expect(released(done) == [])
  }

  @Test func joiningTwiceWithTheSameCacheChangesNothing() {
    var scheduler = scheduler()
    _ = scheduler.handle(.joined(one, slots: 9, Inventory(passes: all)), at: .zero)
    let again = scheduler.handle(.joined(one, slots: 9, Inventory(passes: all)), at: .seconds(100))
    #expect(released(again) == [])
    #expect(!assigned(again).contains(fitted) && !assigned(again).contains(heldOut))
  }
}
