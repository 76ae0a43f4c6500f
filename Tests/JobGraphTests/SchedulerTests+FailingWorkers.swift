import JobGraph
import Testing

/// Workers on which tasks fail, and the pauses that follow.
extension SchedulerTests {
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
    let given = assigned(scheduler.handle(.tick, at: .seconds(2)))
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
}
