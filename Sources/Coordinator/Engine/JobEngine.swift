import Foundation
import JobGraph
import Logging
import Messaging
import Synchronization

/// The coordinator while a job runs: carries messages to the scheduler and performs what it decides.
///
/// Everything here is confined to the thread that calls ``run()``. Other threads reach it through the link's queue only.
final class JobEngine: @unchecked Sendable {
  enum Outcome {
    case finished
    case failed(CoordinatorError)
  }

  static let heartbeat = Duration.seconds(1)
  static let tick = Duration.milliseconds(250)
  /// Bytes of what a worker says of a task that are shown.
  static let remarkMax = 60
  /// A tick that comes so much too late means that this process was stopped, or its machine asleep, or a disk very slow.
  private static let standstill = Duration.seconds(2)
  /// How long after it was given up for its silence a worker that stands still is waited for, before another takes its place.
  private static let stillPatience = Duration.seconds(30)
  /// Between looks at whether the job's directory is still this coordinator's.
  private static let look = Duration.seconds(1)
  /// Leases set aside for one coordinator, so that its successor gives none twice.
  static let leasesReserved: Int64 = 1 << 32
  /// How long a finished job waits for its workers to confirm that they know, those that fell silent among them.
  private static let farewell = Duration.seconds(5)
  /// The same for a job that failed or was told to stop.
  private static let farewellInHaste = Duration.seconds(1)
  /// Artifacts fetched, and results written, at one time.
  private static let storeThreads = 2

  let job: PreparedJob
  let link: CoordinatorLink
  let client: ArtifactClient
  /// Where this coordinator serves its artifacts.
  let artifactHolder: ArtifactHolder
  let display: any ProgressDisplay
  let logger: Logger
  let welcome: WireWelcome

  var scheduler: Scheduler
  var roster = WorkerRoster()
  /// Workers that were welcomed and have not yet said all that their caches hold.
  var arrivals: [WorkerID: Arrival] = [:]
  /// Reports whose results are being made durable.
  var reports: [Lease: WireTaskDone] = [:]
  /// Blocks as they go into the output.
  var packed: [Int: ArtifactRef]
  /// What takes the place of some of their tensors, once the distillation is done.
  var distilled: ArtifactRef?
  /// What the tasks that run are at, as their workers said last.
  var remarks: [WorkerID: [TaskID: String]] = [:]
  /// Epochs of the distillation that the user was told of.
  var epochsNoted = 0
  var history: [HistoryEntry] = []
  var outcome: Outcome?
  /// Whether all that the job was for has been made, by the thread that made it: before its word of it is heard here.
  let isConcluded = Atomic<Bool>(false)
  var tally = JobTally()
  var errors = MeasuredErrors()
  /// Where those who watch look; nil if nobody does.
  let board: SnapshotBoard?
  /// When the pace was last noted, and a snapshot last posted.
  var paceNoted: ContinuousClock.Instant?
  var phaseNoted: JobPhase?
  var snapshotPosted: ContinuousClock.Instant?

  let background = BackgroundThreads(count: JobEngine.storeThreads, name: "store")
  let started = ContinuousClock.now
  let startTime = Date()
  private var nextLook = ContinuousClock.now
  private var meter = RateMeter()
  var secondsSaved = 0.0
  private var phase = JobPhase.waiting

  init(
    _ job: PreparedJob, link: CoordinatorLink, client: ArtifactClient, artifactHolder: ArtifactHolder,
    welcome: WireWelcome, display: any ProgressDisplay, board: SnapshotBoard?, logger: Logger
  ) {
    self.job = job
    self.link = link
    self.client = client
    self.artifactHolder = artifactHolder
    self.welcome = welcome
    self.display = display
    self.board = board
    self.logger = logger
    scheduler = job.scheduler()
    let last: StoredResult.Kind = job.plan.isTuned ? .tune : .merge
    packed = Dictionary(
      uniqueKeysWithValues: job.results.filter { $0.kind == last }.compactMap { result in
        result.artifact.map { (result.block, $0) }
      })
    distilled = job.results.first { $0.update?.isLast == true }?.artifact
    for result in job.results { errors.add(result) }
  }

  /// Seconds since this coordinator started.
  var elapsed: Double { (ContinuousClock.now - started) / .seconds(1) }

  /// Runs the job to its end.
  ///
  /// - Parameter launcher: of the workers; it fills no place again once they are told to go.
  /// - Throws: ``CoordinatorError``; the job directory then holds all that was stored.
  func run(_ launcher: any WorkerLauncher) throws {
    job.artifacts.reportDamage { [weak self] in self?.damaged($0) }
    let endpoint = link.endpoint
    try job.store.updateJob { record in
      record.state = .running
      record.endpoint = endpoint
      record.nextLease += Self.leasesReserved
    }
    try job.store.closeHistory()
    decide(.tick)
    var nextTick = ContinuousClock.now
    while outcome == nil {
      let event = link.next(until: nextTick)
      allowForStandstill(&nextTick)
      if let event { handle(event) }
      // It may have been over the event that this process was stopped.
      allowForStandstill(&nextTick)
      if ContinuousClock.now >= nextTick {
        nextTick = ContinuousClock.now + Self.tick
        decide(.tick)
        loseVanished()
        replaceStill(launcher)
        lookAtDirectory()
        let moment = moment()
        keepBooks(moment.pace)
        display.show(moment)
        post(moment)
      }
    }
    try end(launcher)
  }

  /// What stands still does not come back by itself: its process has been stopped, or hangs.
  private func replaceStill(_ launcher: any WorkerLauncher) {
    let still = roster.takeStill(by: .now - Self.stillPatience)
    for (worker, since) in still where launcher.end(worker: worker, startedBefore: since) {
      note(
        "worker \(worker) has been silent for \(Int(Self.stillPatience / .seconds(1))) s more: its process is killed")
    }
  }

  private func lookAtDirectory() {
    let now = ContinuousClock.now
    if now < nextLook { return }
    nextLook = now + Self.look
    if let lossOfDirectory { fail(lossOfDirectory) }
  }

  /// Without its database nothing of a job is found again; without its lock another coordinator may have it. A
  /// directory that is removed at the end has a name of its own, and is needed no longer than this process lives.
  private var lossOfDirectory: CoordinatorError? {
    if !job.purpose.isResumable { return nil }
    if job.store.isGone {
      let advice = "put it back and resume, or start again with another --job"
      return .io("\(job.directory.databasePath): was removed, moved or replaced while the job ran; \(advice)")
    }
    if job.directory.isLockGone {
      let reason = "was removed or replaced while the job ran, so that another coordinator may have it"
      return .io("\(job.directory.lockPath): \(reason)")
    }
    return nil
  }

  /// Who did not listen cannot say that others were silent.
  private func allowForStandstill(_ nextTick: inout ContinuousClock.Instant) {
    let late = ContinuousClock.now - nextTick
    if late <= Self.standstill { return }
    nextTick += late
    roster.allow(late)
    decide(.stoodStill(late))
  }

  /// Asks the job to stop where it is, from any thread.
  func stop(_ error: CoordinatorError) {
    link.post { [self] in if outcome == nil { outcome = .failed(error) } }
  }

  /// A result in the coordinator's own store has been damaged: the next coordinator has it made again. From any thread.
  func damaged(_ error: ArtifactError) {
    link.post { [self] in
      logger.error("\(error)")
      fail(.tryAgain("\(error)"))
    }
  }

  /// Shows what a launcher says, or ends the job by it, from any thread.
  func handle(_ event: LauncherEvent) {
    link.post { [self] in
      switch event {
      case .note(let line): note(line)
      case .outOfMemory(let worker, let place): outOfMemory(worker, place)
      case .exhausted(let line): fail(.tryAgain(line))
      }
    }
  }

  func fail(_ error: CoordinatorError) {
    if outcome != nil { return }
    // What cannot be found or made in a directory that is gone is not what went wrong.
    if case .io = error, let lossOfDirectory {
      outcome = .failed(lossOfDirectory)
    } else {
      outcome = .failed(error)
    }
  }

  func note(_ line: String) {
    logger.info("\(line)")
    display.note(line.printable)
  }

  /// Gives the scheduler an event and does what it says.
  func decide(_ event: SchedulerEvent) {
    for action in scheduler.handle(event, at: ContinuousClock.now - started) { perform(action) }
  }

  func taskFinished() { meter.taskFinished(at: elapsed) }

  /// The job as it stands now.
  func moment() -> JobMoment {
    let progress = scheduler.progress
    if phase == .waiting, !progress.running.isEmpty { phase = .running }
    // A block's fits are most of its work, and a tune is about as much, as is a step of the distillation; a verification counts
    // as one more.
    let weight = job.plan.linears.count
    let (fits, tunes, steps, evaluations) = (progress.fits, progress.tunes, progress.steps, progress.evaluations)
    let done = Double(
      fits.done + (tunes.done + steps.done) * weight + progress.verifiedBlocks + evaluations.done)
    let total = Double(
      fits.total + (tunes.total + steps.total) * weight + progress.blockCount + evaluations.total)
    let pace = JobPace(
      phase: phase, progress: total > 0 ? done / total : 1, blocks: progress.blockCount, linears: fits.total,
      collectedBlocks: progress.collectedBlocks, fittedBlocks: progress.fittedBlocks,
      distillationSteps: job.plan.distillation?.stepCount,
      tasksPerMinute: meter.perMinute(at: elapsed),
      remainingSeconds: meter.remaining(done: done, of: total, at: elapsed))
    // Of tasks that run no more nothing is kept.
    remarks = Dictionary(
      uniqueKeysWithValues: progress.running.map { worker, tasks in
        (worker, (remarks[worker] ?? [:]).filter { tasks.contains($0.key) })
      })
    return JobMoment(
      progress: progress, remarks: remarks, workerNames: roster.workers.mapValues(\.name), elapsed: elapsed, pace: pace)
  }

  func enter(_ phase: JobPhase) { self.phase = phase }

  /// Adds this coordinator's time to the job's.
  func saveSeconds() throws {
    let (now, before) = (elapsed, secondsSaved)
    try job.store.updateJob { $0.seconds += now - before }
    secondsSaved = now
  }

  private func end(_ launcher: any WorkerLauncher) throws {
    defer { job.store.foldLog() }
    // A fetch from a holder that has fallen silent would take long to notice.
    background.close(patience: Self.farewell) { client.close() }
    // The end was asked for when there was nothing left to do.
    if isConcluded.load(ordering: .acquiring) { outcome = .finished }
    launcher.retire()
    if case .finished = outcome {
      bidFarewell(to: roster.connected.merging(roster.silent) { $1 }, isFinished: true, within: Self.farewell)
    } else {
      // Of a job that nobody resumes, workers keep nothing either.
      bidFarewell(to: roster.connected, isFinished: !job.purpose.isResumable, within: Self.farewellInHaste)
    }
    try? job.store.record(history)
    switch outcome {
    case .failed(let error):
      // What went wrong is what the user has to know, also where it keeps this from being written.
      try? saveSeconds()
      try? job.store.record([.pace(moment().pace)])
      if !error.canBeResumed { _ = try? job.store.updateJob { $0.state = .failed } }
      throw error
    case .finished, nil:
      try saveSeconds()
      enter(.done)
      let moment = moment()
      display.show(moment)
      try job.store.record([.pace(moment.pace)])
      try job.store.updateJob { $0.state = .finished }
    }
  }
}
