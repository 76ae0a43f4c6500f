import JobGraph
import Testing

/// Tasks that take much longer than others of their kind.
extension SchedulerTests {
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
      + beat(two, &scheduler, at: second)
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
