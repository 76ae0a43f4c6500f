import Coordinator
import JobGraph
import Messaging
import Testing

/// What a peer may say of tasks: those of the plan, and nothing else.
@Suite struct TaskOfTheWireTests {
  private func wire(
    _ kind: WireTaskKind, block: UInt32 = 0, shard: UInt32 = 0, linear: String = "", step: UInt32 = 0, batch: UInt32 = 0
  ) -> WireTaskID {
    var task = WireTaskID()
    task.kind = kind
    task.block = block
    task.shard = shard
    task.linear = linear
    task.step = step
    task.batch = batch
    return task
  }

  private let linears = [
    JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8),
    JobPlan.Linear(name: "down", site: "mlp_mid", outFeatures: 8, inFeatures: 8),
  ]

  /// Two blocks and three shards, of which the last is held out.
  private func plan(repairSite: String? = nil, isTuned: Bool = false, distillation: Distillation? = nil) -> JobPlan {
    JobPlan(
      blockCount: 2, linears: linears, shards: JobPlan.slice(sequences: 3, heldOut: 1, count: 3), propagation: .teacher,
      isTuned: isTuned, repairSite: repairSite, distillation: distillation)
  }

  @Test func tasksOfAPlainJob() {
    let plan = plan()
    #expect(TaskID(wire(.collect, block: 1, shard: 2), plan) == .collect(block: 1, shard: 2))
    #expect(TaskID(wire(.fit, block: 1, linear: "down"), plan) == .fit(block: 1, linear: 1))
    #expect(TaskID(wire(.verify, block: 1), plan) == .verify(block: 1))
    let strange = [
      wire(.collect, block: 2), wire(.collect, shard: 3), wire(.collect, block: .max, shard: .max),
      wire(.fit, block: 2, linear: "q"), wire(.fit, linear: "up"), wire(.fit), wire(.verify, block: 2),
      wire(.recollect), wire(.tune), wire(.distill), wire(.update), wire(.evaluate), wire(.unspecified),
      wire(.UNRECOGNIZED(99)),
    ]
    for task in strange { #expect(TaskID(task, plan) == nil, "\(task)") }
  }

  @Test func recollectsAreOfTheShardsThatFitsSee() {
    let plan = plan(repairSite: "mlp_mid")
    #expect(TaskID(wire(.recollect, block: 1, shard: 1), plan) == .recollect(block: 1, shard: 1))
    #expect(TaskID(wire(.recollect, block: 1, shard: 2), plan) == nil, "it is held out")
    #expect(TaskID(wire(.recollect, block: 1, shard: 3), plan) == nil)
    #expect(TaskID(wire(.recollect, block: 2, shard: 1), plan) == nil)
  }

  @Test func stepsAreThoseOfTheDistillation() {
    let distillation = Distillation(epochs: 1, MicroBatches(fitted: 9, heldOut: 1, length: 1024))
    let plan = plan(isTuned: true, distillation: distillation)
    let (steps, batches) = (UInt32(distillation.stepCount), UInt32(distillation.batchCount(ofStep: 1)))
    #expect(TaskID(wire(.tune, block: 1), plan) == .tune(block: 1))
    #expect(TaskID(wire(.tune, block: 2), plan) == nil)
    #expect(TaskID(wire(.update, step: steps - 1), plan) == .update(step: Int(steps) - 1))
    #expect(TaskID(wire(.update, step: steps), plan) == nil)
    #expect(TaskID(wire(.distill, step: 1, batch: batches - 1), plan) == .distill(step: 1, batch: Int(batches) - 1))
    #expect(TaskID(wire(.distill, step: 1, batch: batches), plan) == nil)
    #expect(TaskID(wire(.distill, step: steps), plan) == nil)
  }
}
