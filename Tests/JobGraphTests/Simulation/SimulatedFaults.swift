import JobGraph
import TestSupport

/// What goes wrong in one run, and how often. Times are virtual, in milliseconds; rates are for half a second.
struct SimulatedFaults {
  // Messages between any two parties.
  var dropChance = 0.0
  var doubleChance = 0.0
  /// Held up for so long that others overtake it.
  var slowChance = 0.0
  /// Two parties, or one and all others, do not reach each other for a while.
  var partitionRate = 0.0

  // Workers.
  var crashRate = 0.0
  /// Stands still for up to a minute, as after SIGSTOP.
  var freezeRate = 0.0
  /// A kernel that makes no progress and hears nothing for a while.
  var hangChance = 0.0
  var failureChance = 0.0
  /// A worker on which everything fails.
  var brokenChance = 0.0
  /// A worker whose artifacts none but itself can fetch.
  var unreachableChance = 0.0
  var leaveRate = 0.0
  var joinRate = 0.0
  /// How much clocks run apart: 0.1 is from 10 % slow to 10 % fast.
  var clockSpread = 0.0

  // Caches.
  /// A worker that is started finds none of those that others left.
  var coldStartChance = 0.0
  /// Of each file and record, while no process has the cache.
  var cacheLossChance = 0.0
  var cacheDamageChance = 0.0
  /// The first that a worker tells of its cache is what it has of another job, with tasks of the same names.
  var foreignCacheChance = 0.0

  // Coordinator and store.
  var coordinatorCrashRate = 0.0
  /// In the middle of performing what the scheduler decided.
  var crashWhileActingChance = 0.0
  /// A write that fails ends the coordinator; it is resumed.
  var diskErrorChance = 0.0
  /// Dies after a result is durable and before anyone is told: work done, reply lost.
  var workDoneReplyLostChance = 0.0

  /// Tasks that kill their workers.
  var poison: Set<TaskID> = []
  /// No new faults from then on; poison stays.
  var end = 0

  /// Each fault is there or not by the seed.
  init(drawnFrom random: inout SplitMix, plan: JobPlan) {
    func some(_ values: [Double], _ random: inout SplitMix) -> Double {
      random.chance(0.4) ? random.pick(values) ?? 0 : 0
    }
    dropChance = some([0.01, 0.1, 0.3], &random)
    doubleChance = some([0.02, 0.2], &random)
    slowChance = some([0.02, 0.2], &random)
    partitionRate = some([0.01, 0.05], &random)
    crashRate = some([0.005, 0.03], &random)
    freezeRate = some([0.005, 0.03], &random)
    hangChance = some([0.02, 0.1], &random)
    failureChance = some([0.02, 0.1], &random)
    brokenChance = some([0.3], &random)
    unreachableChance = some([0.3], &random)
    leaveRate = some([0.01, 0.05], &random)
    joinRate = some([0.01, 0.05], &random)
    clockSpread = some([0.05, 0.3], &random)
    coldStartChance = some([0.5, 1], &random)
    cacheLossChance = some([0.02, 0.3], &random)
    cacheDamageChance = some([0.02, 0.3], &random)
    foreignCacheChance = some([0.2], &random)
    coordinatorCrashRate = some([0.005, 0.02], &random)
    crashWhileActingChance = some([0.005], &random)
    diskErrorChance = some([0.02, 0.1], &random)
    workDoneReplyLostChance = some([0.02, 0.1], &random)
    end = random.draw(5...90) * 1000
    if random.chance(0.25) {
      for _ in 0..<random.draw(1...2) { poison.insert(Self.task(of: plan, &random)) }
    }
  }

  init() {}

  /// Whether workers are lost by nothing but poison.
  var losesOnlyToPoison: Bool {
    [dropChance, slowChance, partitionRate, crashRate, freezeRate, coordinatorCrashRate, clockSpread].allSatisfy {
      $0 == 0
    }
      && [crashWhileActingChance, diskErrorChance, workDoneReplyLostChance].allSatisfy { $0 == 0 }
  }

  private static func task(of plan: JobPlan, _ random: inout SplitMix) -> TaskID {
    if plan.isEvaluation { return .evaluate(shard: random.draw(0...plan.evaluationCount - 1)) }
    let block = random.draw(0...plan.blockCount - 1)
    let fitShards = plan.shards.indices.filter { !plan.shards[$0].isHeldOut }
    switch random.draw(0...(plan.distillation == nil ? 4 : 6)) {
    case 0: return .collect(block: block, shard: random.draw(0...plan.shards.count - 1))
    case 1: return .verify(block: block)
    case 2 where plan.isTuned: return .tune(block: block)
    case 3 where plan.repairSite != nil: return .recollect(block: block, shard: random.pick(fitShards) ?? 0)
    case 5:
      let step = random.draw(0...(plan.distillation?.stepCount ?? 1) - 1)
      return .distill(step: step, batch: random.draw(0...(plan.distillation?.batchCount(ofStep: step) ?? 1) - 1))
    case 6: return .update(step: random.draw(0...(plan.distillation?.stepCount ?? 1) - 1))
    default: return .fit(block: block, linear: random.draw(0...plan.linears.count - 1))
    }
  }
}
