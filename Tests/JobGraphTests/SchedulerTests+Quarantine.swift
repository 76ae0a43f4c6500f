import JobGraph
import Testing

/// Tasks that workers die of.
extension SchedulerTests {
  /// Gives out a task to a new worker, which is lost with it.
  private func die(
    _ name: String, of task: TaskID = .collect(block: 0, shard: 0), _ scheduler: inout Scheduler, at second: Int
  ) -> [SchedulerAction] {
    let worker = WorkerID(name)
    let given = assigned(scheduler.handle(.joined(worker, slots: 1), at: .seconds(second)))
    #expect(given.map(\.1) == [task])
    return scheduler.handle(.lost(worker), at: .seconds(second + 1))
  }

  private var poison: QuarantinedTask {
    QuarantinedTask(task: .collect(block: 0, shard: 0), workers: ["a", "b", "c"].map { WorkerID($0) })
  }

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
}
