import JobGraph
import Testing

/// Jobs that evaluate a model window by window.
@Suite struct EvaluationTests {
  private let one = WorkerID("one")
  private let two = WorkerID("two")

  private struct Given: Equatable {
    let worker: WorkerID
    let task: TaskID
    let lease: Lease
    let inputs: [TaskInput]
  }

  private func given(_ actions: [SchedulerAction]) -> [Given] {
    actions.compactMap {
      if case .assign(let worker, let task, let lease, let inputs) = $0 {
        Given(worker: worker, task: task, lease: lease, inputs: inputs)
      } else {
        nil
      }
    }
  }

  @Test func windowsAreShardsOfAPlanWithoutBlocks() {
    let plan = JobPlan.evaluation(windows: 3)
    #expect(plan.isEvaluation)
    #expect(plan.evaluationCount == 3)
    #expect(plan.shards.map(\.firstSequence) == [0, 1, 2])
    let other = JobPlan(blockCount: 1, linears: [], shards: plan.shards, propagation: .teacher)
    #expect(!other.isEvaluation)
    #expect(other.evaluationCount == 0)
  }

  @Test func windowsGoOutInOrderAndNeedNothing() {
    var scheduler = Scheduler(plan: .evaluation(windows: 5))
    let first = given(scheduler.handle(.joined(one, slots: 2), at: .zero))
    let second = given(scheduler.handle(.joined(two, slots: 1), at: .zero))
    #expect((first + second).map(\.task) == [.evaluate(shard: 0), .evaluate(shard: 1), .evaluate(shard: 2)])
    #expect((first + second).map(\.worker) == [one, one, two])
    #expect((first + second).flatMap(\.inputs) == [])
  }

  @Test func aLossIsStoredBeforeItIsAcknowledgedAndTheLastOneEndsTheJob() {
    var scheduler = Scheduler(plan: .evaluation(windows: 2), evaluated: [0])
    #expect(scheduler.progress.evaluations.total == 2)
    #expect(scheduler.progress.evaluations.done == 1)
    let only = given(scheduler.handle(.joined(one, slots: 4), at: .zero))
    #expect(only.map(\.task) == [.evaluate(shard: 1)])
    guard let lease = only.first?.lease else { return }
    let done = scheduler.handle(.finished(one, .evaluate(shard: 1), lease, outputs: []), at: .seconds(1))
    #expect(done == [.store(.evaluate(shard: 1), lease, one, outputs: [])])
    #expect(scheduler.progress.evaluations.done == 1)
    let stored = scheduler.handle(.stored(.evaluate(shard: 1), lease), at: .seconds(2))
    #expect(stored == [.acknowledge(one, .evaluate(shard: 1), lease), .assemble])
    #expect(scheduler.progress.evaluations.done == 2)
    #expect(scheduler.handle(.assembled, at: .seconds(3)) == [.finish])
  }

  @Test func aWindowOfALostWorkerGoesToAnother() {
    var scheduler = Scheduler(plan: .evaluation(windows: 1))
    let first = given(scheduler.handle(.joined(one, slots: 1), at: .zero))
    #expect(given(scheduler.handle(.joined(two, slots: 1), at: .zero)).isEmpty)
    _ = scheduler.handle(.lost(one), at: .seconds(1))
    let again = given(scheduler.handle(.tick, at: .seconds(2)))
    #expect(again.map(\.worker) == [two])
    #expect(again.map(\.task) == [.evaluate(shard: 0)])
    // Without its lease the first worker's result would count no more.
    #expect(again.first?.lease != first.first?.lease)
  }

  @Test func aWindowThatKillsWorkersIsLeftOutAndTheJobEndsOverIt() {
    var scheduler = Scheduler(plan: .evaluation(windows: 3))
    for (number, name) in ["a", "b", "c"].enumerated() {
      let actions = scheduler.handle(.joined(WorkerID(name), slots: 1), at: .seconds(60 * number))
      #expect(given(actions).map(\.task) == [.evaluate(shard: 0)])
      _ = scheduler.handle(.lost(WorkerID(name)), at: .seconds(60 * number + 1))
    }
    var actions = scheduler.handle(.joined(one, slots: 1), at: .seconds(180))
    while let next = given(actions).first {
      #expect(next.task != .evaluate(shard: 0))
      let finished = scheduler.handle(.finished(one, next.task, next.lease, outputs: []), at: .seconds(181))
      actions = finished + scheduler.handle(.stored(next.task, next.lease), at: .seconds(181))
    }
    let culprit = QuarantinedTask(task: .evaluate(shard: 0), workers: ["a", "b", "c"].map { WorkerID($0) })
    #expect(actions.last == .stop(.quarantined([culprit])))
    #expect(scheduler.progress.evaluations.done == 2)
  }
}
