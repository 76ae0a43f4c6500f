import JobGraph
import Testing

@Suite struct SchedulerSimulationTests {
  static func plan(
    blocks: Int, shards: Int, propagation: JobPlan.Propagation, isTuned: Bool = false
  ) -> JobPlan {
    let linears = [("q", "attn_in"), ("k", "attn_in"), ("o", "attn_out"), ("down", "mlp_hidden")].map {
      JobPlan.Linear(name: $0.0, site: $0.1, outFeatures: 8, inFeatures: 8)
    }
    return JobPlan(
      blockCount: blocks, linears: linears, shards: JobPlan.slice(sequences: 16, heldOut: 4, count: shards),
      propagation: propagation, isTuned: isTuned)
  }

  private func expectDone(_ cluster: SimulatedCluster, _ context: String) {
    #expect(cluster.violations.isEmpty, "\(context): \(cluster.violations.prefix(3))")
    #expect(cluster.outcome == .finish, "\(context): ended with \(String(describing: cluster.outcome))")
    let plan = cluster.plan
    for block in 0..<plan.blockCount {
      let tunes: [TaskID] = plan.isTuned ? [.tune(block: block)] : []
      for task in plan.linears.indices.map({ .fit(block: block, linear: $0) }) + tunes + [.verify(block: block)] {
        #expect(cluster.stored[task] == 1, "\(context): \(task) stored \(cluster.stored[task] ?? 0) times")
      }
    }
  }

  @Test(arguments: JobPlan.Propagation.allCases, [1, 2, 5])
  func aQuietClusterDoesEachTaskOnce(propagation: JobPlan.Propagation, workers: Int) {
    let plan = Self.plan(blocks: 5, shards: 6, propagation: propagation)
    var cluster = SimulatedCluster(plan: plan, workers: workers, faults: .init(), seed: 1)
    cluster.run()
    expectDone(cluster, "quiet")
    #expect(cluster.assignments.values.allSatisfy { $0 == 1 })
    #expect(cluster.assignments.count == 5 * (plan.shards.count + plan.linears.count + 1))
  }

  @Test(arguments: JobPlan.Propagation.allCases, [1, 3])
  func aTunedJobTunesBlocksInTurnOnOneWorker(propagation: JobPlan.Propagation, workers: Int) {
    let plan = Self.plan(blocks: 5, shards: 6, propagation: propagation, isTuned: true)
    var cluster = SimulatedCluster(plan: plan, workers: workers, faults: .init(), seed: 2)
    cluster.run()
    expectDone(cluster, "quiet")
    #expect(cluster.assignments.values.allSatisfy { $0 == 1 })
    #expect(cluster.assignments.count == 5 * (plan.shards.count + plan.linears.count + 2))
    #expect(cluster.tuners.count == 1)
  }

  @Test(arguments: JobPlan.Propagation.allCases, [false, true])
  func theJobEndsWhateverTheFaults(propagation: JobPlan.Propagation, isTuned: Bool) {
    for seed in UInt64(0)..<150 {
      var faults = SimulatedCluster.Faults()
      faults.crashChance = seed % 3 == 0 ? 0.002 : 0
      faults.lossChance = seed % 2 == 0 ? 0.05 : 0
      faults.hangChance = seed % 5 == 0 ? 0.02 : 0
      faults.failureChance = seed % 7 == 0 ? 0.05 : 0
      faults.coordinatorCrashes = seed % 4 == 0 ? 3 : 0
      var cluster = SimulatedCluster(
        plan: Self.plan(blocks: 4, shards: 5, propagation: propagation, isTuned: isTuned),
        workers: 1 + Int(seed % 4), faults: faults, seed: seed)
      cluster.run()
      expectDone(cluster, "seed \(seed), \(propagation), \(isTuned ? "tuned" : "untuned")")
    }
  }
}
