import JobGraph
import Testing

/// The plan that the coordinator and every worker make for themselves.
@Suite struct JobPlanTests {
  private static let linears = [
    JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8),
    JobPlan.Linear(name: "down", site: "mlp_hidden", outFeatures: 8, inFeatures: 8),
  ]

  private func plan(heldOut: Int = 1, repairSite: String? = nil, distillEpochs: Int = 0) -> JobPlan {
    JobPlan(
      blockCount: 2, linears: Self.linears, shards: JobPlan.slice(sequences: 9, heldOut: heldOut, count: 3),
      length: 1024, propagation: .student, isTuned: true, repairSite: repairSite, distillEpochs: distillEpochs)
  }

  @Test func aDistillationGoesThroughTheJobsSequences() {
    #expect(plan().distillation == nil)
    let batches = MicroBatches(fitted: 8, heldOut: 1, length: 1024)
    #expect(plan(distillEpochs: 3).distillation == Distillation(epochs: 3, batches))
    #expect(plan(heldOut: 0, distillEpochs: 3).distillation == nil)
  }

  @Test func collectsKeepNoGramThatARecollectMakes() {
    let plan = plan(repairSite: "mlp_hidden")
    let heldOut = plan.shards.map(\.isHeldOut)
    #expect(heldOut == [false, false, true])
    #expect(plan.shards.indices.map { plan.collects("mlp_hidden", ofShard: $0) } == heldOut)
    #expect(plan.shards.indices.allSatisfy { plan.collects("attn_in", ofShard: $0) })
    #expect(plan.shards.indices.allSatisfy { self.plan().collects("mlp_hidden", ofShard: $0) })
  }
}
