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

  /// One does window after window in 54 seconds, and so would be usual if it were measured by itself.
  @Test func aWorkerThatIsAlwaysSlowIsMeasuredByTheOthers() {
    var scheduler = Scheduler(plan: .evaluation(windows: 9))
    var own = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))
    func finish(_ given: [(WorkerID, TaskID, Lease)], at second: Int) -> [(WorkerID, TaskID, Lease)] {
      given.flatMap { worker, task, lease in
        assigned(scheduler.handle(.finished(worker, task, lease, outputs: [gram]), at: .seconds(second)))
      }
    }
    for window in 1...4 {
      for second in stride(from: 54 * window - 50, to: 54 * window, by: 5) {
        _ = scheduler.handle(.progressed(one, own[0].1, own[0].2), at: .seconds(second))
      }
      own = finish(own, at: 54 * window)
    }
    var others = assigned(scheduler.handle(.joined(two, slots: 1), at: .seconds(216)))
    for second in 217...220 { others = finish(others, at: second) }
    #expect(others.isEmpty)
    let held = [own[0].2: own[0].1]
    #expect(assigned(bothBeat(&scheduler, held, at: 225)).isEmpty)
    let copies = assigned(bothBeat(&scheduler, held, at: 227))
    #expect(copies.map(\.0) == [two])
    #expect(copies.map(\.1) == own.map(\.1))
  }

  @Test func whatOneWorkerAloneCanHaveGoesToOneThatIsNotSlow() {
    var scheduler = wideScheduler()
    func output(of task: TaskID) -> ArtifactRef { ArtifactRef(name: "gram/attn_in", digest: "\(task)", size: 1) }
    let (_, task, lease) = assigned(scheduler.handle(.joined(one, slots: 1), at: .zero))[0]
    var open = assigned(scheduler.handle(.joined(two, slots: 2), at: .zero))
    for second in 1...9 {
      _ = scheduler.handle(.progressed(one, task, lease), at: .seconds(second))
      open = open.flatMap { _, task, lease in
        assigned(scheduler.handle(.finished(two, task, lease, outputs: [output(of: task)]), at: .seconds(second)))
      }
    }
    // Both are free when the last collect brings the only fit; what there is besides is less urgent.
    let given = assigned(scheduler.handle(.finished(one, task, lease, outputs: [output(of: task)]), at: .seconds(11)))
    #expect(given.first { $0.1 == .fit(block: 0, linear: 0) }?.0 == two)
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
