/// How far a job is, for displays and reports.
public struct JobProgress: Sendable, Equatable {
  public struct Count: Sendable, Equatable {
    public var done = 0
    public var total = 0
  }

  /// Blocks whose every shard has been collected and used, or is held.
  public var collectedBlocks = 0
  /// Blocks whose every linear is fitted and stored.
  public var fittedBlocks = 0
  /// Blocks that are tuned and stored, of as many as there are, or of none.
  public var tunes = Count()
  /// Steps of the distillation that are stored, of as many as there are, or of none.
  public var steps = Count()
  public var verifiedBlocks = 0
  public var blockCount: Int
  public var fits = Count()
  /// Shards whose evaluation is stored, of as many as there are, or of none.
  public var evaluations = Count()
  /// What each worker has in hand.
  public var running: [WorkerID: [TaskID]] = [:]
  /// Given out no more.
  public var quarantined: [QuarantinedTask] = []
  /// Workers that are given nothing for now.
  public var setAside: Set<WorkerID> = []

  package init(blockCount: Int) { self.blockCount = blockCount }
}

extension Scheduler {
  public var progress: JobProgress {
    var progress = JobProgress(blockCount: plan.blockCount)
    for block in 0..<plan.blockCount {
      let fits = plan.fits(ofBlock: block).filter { record($0).isDone }.count
      let isFitted = fits == plan.linears.count
      let isVerified = record(.verify(block: block)).isDone
      let isCollected = plan.shards.indices.allSatisfy { record(.collect(block: block, shard: $0)).isDone }
      progress.fits.done += fits
      progress.fits.total += plan.linears.count
      if isFitted { progress.fittedBlocks += 1 }
      if plan.isTuned {
        progress.tunes.total += 1
        if tuned[block] != nil { progress.tunes.done += 1 }
      }
      if isVerified { progress.verifiedBlocks += 1 }
      if isCollected || isFitted { progress.collectedBlocks += 1 }
    }
    progress.steps = JobProgress.Count(done: stepsDone, total: plan.steps.count)
    progress.evaluations.total = plan.evaluationCount
    progress.evaluations.done = (0..<plan.evaluationCount).count { record(.evaluate(shard: $0)).isDone }
    for (worker, record) in workers { progress.running[worker] = record.running.values.sorted() }
    progress.quarantined = quarantined
    progress.setAside = setAside
    return progress
  }
}
