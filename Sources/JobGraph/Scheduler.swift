/// The job's decisions as a state machine: an event in, actions out; no clock, no network, no disk of its own.
///
/// What it rests on: a fit, tune, update, verify or evaluate is done when its result is in the coordinator's store and stays
/// done for ever; a collect, recollect or distill is done while a worker holds the outputs, and becomes pending again when
/// that worker is lost, if anyone still needs them. A worker that joins with outputs of collects and recollects of before
/// brings them along.
public struct Scheduler: Sendable {
  public let plan: JobPlan
  public let policy: SchedulerPolicy

  enum Phase: Sendable, Equatable {
    case running
    case assembling
    case ended
  }

  var phase = Phase.running
  var workers: [WorkerID: WorkerRecord] = [:]
  var tasks: [TaskID: TaskRecord] = [:]
  /// Fitted linears in the coordinator's store.
  var fitted: [TaskID: ArtifactRef] = [:]
  /// Merged blocks in the coordinator's store.
  var merged: [Int: ArtifactRef] = [:]
  /// Tuned blocks in the coordinator's store.
  var tuned: [Int: ArtifactRef] = [:]
  var merging: Set<Int> = []
  /// What the last step of the distillation that is in the store left there.
  var updated: ArtifactRef?
  /// Steps of the distillation that are in the store.
  var stepsDone = 0
  /// What the tasks of each worker may use, in bytes, those that are lost among them.
  var memories: [WorkerID: Int] = [:]
  /// The worker whose cache holds a shard's hidden states.
  var shardOwners: [Int: WorkerID] = [:]
  var nextLease: UInt64
  var now = Duration.zero
  /// The first block for which something can still be done.
  var lowestOpenBlock = 0
  /// The first shard for whose evaluation something can still be done.
  var lowestOpenEvaluation = 0
  /// Workers that are given nothing for now.
  var setAside: Set<WorkerID> = []
  var quarantine = Quarantine()
  var durations: TaskDurations

  /// Results dropped because their lease was over.
  package internal(set) var staleResults = 0
  /// Workers dismissed or gone while the job ran.
  package internal(set) var lostWorkers = 0

  /// A job at its start, or as far as an earlier coordinator brought it.
  ///
  /// - Parameters:
  ///   - fitted: Fits whose results are in the store.
  ///   - merged: Merged blocks in the store.
  ///   - tuned: Tuned blocks in the store.
  ///   - updated: What the last step of the distillation left in the store.
  ///   - stepsDone: Steps of it that are in the store.
  ///   - verified: Blocks whose verification is in the store.
  ///   - evaluated: Shards whose evaluation is in the store.
  ///   - firstLease: Above every lease an earlier coordinator of this job has given.
  public init(
    plan: JobPlan, policy: SchedulerPolicy = SchedulerPolicy(),
    fitted: [TaskID: ArtifactRef] = [:], merged: [Int: ArtifactRef] = [:], tuned: [Int: ArtifactRef] = [:],
    updated: ArtifactRef? = nil, stepsDone: Int = 0, verified: Set<Int> = [], evaluated: Set<Int> = [],
    firstLease: UInt64 = 1
  ) {
    self.plan = plan
    self.policy = policy
    self.fitted = fitted
    self.merged = merged
    self.tuned = tuned
    self.updated = updated
    self.stepsDone = stepsDone
    nextLease = firstLease
    durations = TaskDurations(fitCosts: plan.linears.map(\.cost))
    for block in 0..<plan.blockCount {
      for shard in plan.shards.indices { tasks[.collect(block: block, shard: shard)] = TaskRecord() }
      if plan.repairSite != nil {
        for shard in plan.fitShards { tasks[.recollect(block: block, shard: shard)] = TaskRecord() }
      }
      for fit in plan.fits(ofBlock: block) {
        tasks[fit] = TaskRecord(state: fitted[fit] == nil ? .pending : .done)
      }
      if plan.isTuned { tasks[.tune(block: block)] = TaskRecord(state: tuned[block] == nil ? .pending : .done) }
      tasks[.verify(block: block)] = TaskRecord(state: verified.contains(block) ? .done : .pending)
    }
    for step in plan.steps {
      let isDone = step < stepsDone
      for task in batches(ofStep: step) + [.update(step: step)] {
        tasks[task] = TaskRecord(state: isDone ? .done : .pending)
      }
    }
    for shard in 0..<plan.evaluationCount {
      tasks[.evaluate(shard: shard)] = TaskRecord(state: evaluated.contains(shard) ? .done : .pending)
    }
  }

  /// Whether the worker is part of the job.
  public func knows(_ worker: WorkerID) -> Bool { workers[worker] != nil }

  /// A block as it goes into the output.
  func packed(_ block: Int) -> ArtifactRef? { plan.isTuned ? tuned[block] : merged[block] }

  /// Takes one event and says what to do about it.
  ///
  /// - Parameter now: Time since the coordinator started; never goes back.
  public mutating func handle(_ event: SchedulerEvent, at now: Duration) -> [SchedulerAction] {
    if phase == .ended { return [] }
    self.now = max(self.now, now)
    var actions: [SchedulerAction] = []
    // A heartbeat may bring none: what waits for a time, and not for others, is given out with a tick.
    var isNews = true
    switch event {
    case .joined(let worker, let slots, let memory, let inventory):
      memories[worker] = memory
      join(worker, slots: slots, inventory, &actions)
    case .heard(let worker, let holding):
      let inHand = workers[worker]?.running.count
      heard(worker, &actions)
      reconcile(worker, holding, &actions)
      isNews = !actions.isEmpty || workers[worker]?.running.count != inHand
    case .listed(let worker, let passes): listed(worker, passes, &actions)
    case .left(let worker): lose(worker, .returned, &actions)
    case .lost(let worker): lose(worker, .death, &actions)
    case .outOfMemory(let worker): ranOutOfMemory(worker)
    case .progressed(let worker, let task, let lease):
      progressed(worker, task, lease, &actions)
      isNews = !actions.isEmpty
    case .finished(let worker, let task, let lease, let outputs): finished(worker, task, lease, outputs, &actions)
    case .failed(let worker, let task, let lease, let failure): failed(worker, task, lease, failure, &actions)
    case .stored(let task, let lease): stored(task, lease, &actions)
    case .storeFailed(let task, let lease, let reason): storeFailed(task, lease, reason, &actions)
    case .merged(let block, let artifact): didMerge(block, artifact, &actions)
    case .assembled:
      phase = .ended
      actions.append(.finish)
    case .tick: expire(&actions)
    case .stoodStill(let gap): allow(gap)
    }
    if isNews { advance(&actions) }
    return actions
  }

  /// Gives out what can be given out, merges what can be merged, and ends the job when all is done or in vain.
  private mutating func advance(_ actions: inout [SchedulerAction]) {
    guard phase == .running else { return }
    if !quarantine.tasks.isEmpty { findBlocked() }
    while lowestOpenBlock < plan.blockCount, isSettled(block: lowestOpenBlock) { lowestOpenBlock += 1 }
    while lowestOpenEvaluation < plan.evaluationCount, isSettled(evaluation: lowestOpenEvaluation) {
      lowestOpenEvaluation += 1
    }
    for block in lowestOpenBlock..<plan.blockCount where merged[block] == nil && !merging.contains(block) {
      if plan.fits(ofBlock: block).allSatisfy({ record($0).isDone }) {
        merging.insert(block)
        actions.append(.merge(block: block))
      }
    }
    if lowestOpenBlock == plan.blockCount, lowestOpenEvaluation == plan.evaluationCount, !isDistilling {
      if !quarantine.tasks.isEmpty { return stop(.quarantined(quarantined), &actions) }
      phase = .assembling
      actions.append(.assemble)
      return
    }
    giveOut(&actions)
  }

  mutating func stop(_ reason: StopReason, _ actions: inout [SchedulerAction]) {
    phase = .ended
    actions.append(.stop(reason))
  }

  /// Every task of the plan has a record from the start.
  func record(_ task: TaskID) -> TaskRecord { tasks[task] ?? TaskRecord() }

  mutating func update(_ task: TaskID, _ change: (inout TaskRecord) -> Void) {
    change(&tasks[task, default: TaskRecord()])
  }
}
