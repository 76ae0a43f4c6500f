import JobGraph
import Testing

/// Tasks that a worker was too small for.
@Suite struct MemoryTests {
  private let small = WorkerID("a small")
  private let same = WorkerID("b same")
  private let large = WorkerID("c large")

  /// One collect, of one block, to begin with.
  private func scheduler() -> Scheduler {
    Scheduler(
      plan: JobPlan(
        blockCount: 1, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
        shards: JobPlan.slice(sequences: 1, heldOut: 0, count: 1), propagation: .teacher))
  }

  private func assigned(_ actions: [SchedulerAction]) -> [(worker: WorkerID, task: TaskID, lease: Lease)] {
    actions.compactMap {
      if case .assign(let worker, let task, let lease, _) = $0 { (worker, task, lease) } else { nil }
    }
  }

  /// The small worker has been lost with the task in hand, and the kernel has ended it; which is known first does not matter.
  private func outgrown(_ scheduler: inout Scheduler, isLostFirst: Bool) -> TaskID? {
    let given = assigned(scheduler.handle(.joined(small, slots: 1, memory: 100), at: .zero))
    let events: [SchedulerEvent] = [.outOfMemory(small), .lost(small)]
    for event in isLostFirst ? events.reversed() : events { _ = scheduler.handle(event, at: .seconds(1)) }
    return given.first?.task
  }

  @Test(arguments: [false, true])
  func aLargerWorkerTriesItBeforeOneOfTheSameSize(isLostFirst: Bool) {
    var scheduler = scheduler()
    let task = outgrown(&scheduler, isLostFirst: isLostFirst)
    #expect(task == .collect(block: 0, shard: 0))
    // The larger one has nothing to do before the pause after the loss is over.
    _ = scheduler.handle(.joined(large, slots: 1, memory: 101), at: .seconds(1))
    #expect(assigned(scheduler.handle(.joined(same, slots: 1, memory: 100), at: .seconds(1))).isEmpty)
    let given = assigned(scheduler.handle(.tick, at: .seconds(2)))
    #expect(given.map(\.worker) == [large])
    #expect(given.map(\.task) == [task])
  }

  @Test func withoutALargerOneItIsTriedOnTheSameSize() {
    var scheduler = scheduler()
    let task = outgrown(&scheduler, isLostFirst: true)
    let given = assigned(scheduler.handle(.joined(same, slots: 1, memory: 100), at: .seconds(2)))
    #expect(given.map(\.task) == [task])
  }

  @Test func whenTheLargerOneIsLostTooItIsTriedOnAny() {
    var scheduler = scheduler()
    let task = outgrown(&scheduler, isLostFirst: true)
    _ = scheduler.handle(.joined(same, slots: 1, memory: 100), at: .seconds(1))
    #expect(assigned(scheduler.handle(.joined(large, slots: 1, memory: 200), at: .seconds(1))).isEmpty)
    #expect(assigned(scheduler.handle(.tick, at: .seconds(2))).map(\.worker) == [large])
    _ = scheduler.handle(.heard(same, holding: [:]), at: .seconds(3))
    _ = scheduler.handle(.lost(large), at: .seconds(3))
    let given = assigned(scheduler.handle(.outOfMemory(large), at: .seconds(5)))
    #expect(given.map(\.worker) == [same])
    #expect(given.map(\.task) == [task])
  }

  /// A worker of the same size has the shard, from the cache of the one that died.
  @Test func aShardsOwnerThatIsTooSmallKeepsItFromNobody() {
    var scheduler = Scheduler(
      plan: JobPlan(
        blockCount: 2, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
        shards: JobPlan.slice(sequences: 1, heldOut: 0, count: 1), propagation: .teacher))
    let (_, first, lease) = assigned(scheduler.handle(.joined(small, slots: 1, memory: 100), at: .zero))[0]
    let outputs = [ArtifactRef.gramName("attn_in"), ArtifactRef.hiddenName(.original, 1)].map {
      ArtifactRef(name: $0, digest: $0, size: 1)
    }
    let given = assigned(scheduler.handle(.finished(small, first, lease, outputs: outputs), at: .seconds(1)))
    #expect(given.map(\.task) == [.collect(block: 1, shard: 0)])
    for event in [SchedulerEvent.lost(small), .outOfMemory(small)] { _ = scheduler.handle(event, at: .seconds(1)) }
    let inherited = Inventory(passes: [first: outputs], predecessor: small)
    _ = scheduler.handle(.joined(same, slots: 1, memory: 100, inherited), at: .seconds(1))
    _ = scheduler.handle(.joined(large, slots: 1, memory: 200), at: .seconds(1))
    let again = assigned(scheduler.handle(.tick, at: .seconds(3)))
    #expect(again.map(\.worker) == [large])
    #expect(again.map(\.task) == [.collect(block: 1, shard: 0)])
  }

  /// The only ones that had no hand in a block are too small to verify it: then the larger one that made it does.
  @Test func aVerificationDoesNotWaitForAWorkerThatIsTooSmall() {
    let packed = ArtifactRef(name: ArtifactRef.packedName, digest: "f", size: 1)
    var scheduler = Scheduler(
      plan: JobPlan(
        blockCount: 1, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
        shards: JobPlan.slice(sequences: 2, heldOut: 1, count: 2), propagation: .teacher))
    func gram(_ digest: String) -> ArtifactRef {
      ArtifactRef(name: ArtifactRef.gramName("attn_in"), digest: digest, size: 1)
    }
    // The large one collects and fits, alone.
    let (_, collect, first) = assigned(scheduler.handle(.joined(large, slots: 1, memory: 200), at: .zero))[0]
    let (_, fit, second) = assigned(
      scheduler.handle(.finished(large, collect, first, outputs: [gram("seen")]), at: .seconds(1)))[0]
    let (_, heldOut, third) = assigned(
      scheduler.handle(.finished(large, fit, second, outputs: [packed]), at: .seconds(2)))[0]
    for event in [SchedulerEvent.joined(small, slots: 1, memory: 100), .stored(fit, second), .merged(block: 0, packed)]
    {
      #expect(assigned(scheduler.handle(event, at: .seconds(2))).isEmpty)
    }
    let verify = assigned(
      scheduler.handle(.finished(large, heldOut, third, outputs: [gram("held out")]), at: .seconds(3)))
    #expect(verify.map(\.worker) == [small])
    #expect(verify.map(\.task) == [.verify(block: 0)])
    for event in [SchedulerEvent.outOfMemory(small), .lost(small), .joined(same, slots: 1, memory: 100)] {
      #expect(assigned(scheduler.handle(event, at: .seconds(3))).isEmpty)
    }
    let again = assigned(scheduler.handle(.tick, at: .seconds(5)))
    #expect(again.map(\.worker) == [large])
    #expect(again.map(\.task) == [.verify(block: 0)])
  }
}
