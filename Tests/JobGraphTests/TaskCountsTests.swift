import JobGraph
import Testing

@Suite struct TaskCountsTests {
  private let plan = JobPlan(
    blockCount: 2, linears: [JobPlan.Linear(name: "q", site: "in", outFeatures: 8, inFeatures: 8)],
    shards: JobPlan.slice(sequences: 4, heldOut: 1, count: 4), propagation: .teacher)

  @Test func everyTaskIsCountedOnce() {
    var scheduler = Scheduler(plan: plan)
    #expect(scheduler.taskCounts[.collect]?[.pending] == 8)
    #expect(scheduler.taskCounts[.fit] == [.pending: 2, .running: 0, .storing: 0, .done: 0, .quarantined: 0])
    #expect(scheduler.taskCounts[.verify]?[.pending] == 2)
    #expect(scheduler.taskCounts[.tune] == nil)
    _ = scheduler.handle(.joined(WorkerID("one"), slots: 3), at: .zero)
    #expect(scheduler.taskCounts[.collect] == [.pending: 5, .running: 3, .storing: 0, .done: 0, .quarantined: 0])
  }
}
