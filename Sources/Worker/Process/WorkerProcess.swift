import Checkpoint
import Foundation
import Logging
import Messaging
import Numerics
import Synchronization

/// A worker: takes tasks from a coordinator, runs them on its slots, serves what they made to other workers.
///
/// One thread, the caller of ``run()``, drains the link; each slot has a thread and a team of its own.
public final class WorkerProcess: Sendable {
  /// How often the loop looks at its parent.
  private static let glance = Duration.milliseconds(500)

  /// Between two times that unacknowledged results are sent again.
  private static let reminder = Duration.seconds(20)

  let options: WorkerOptions
  let logger: Logger
  /// Of this process.
  let id: Data
  let cache: CacheDirectory
  private let context: ZMQContext
  let server: ArtifactServer
  let client: ArtifactClient
  private let link: WorkerLink
  let queue = TaskQueue()
  private let slots = DispatchGroup()
  private let allocation: SharedAllocationEnd
  let stopReason = Mutex<(text: String, end: End)?>(nil)
  let service = Mutex<ServedJob?>(nil)
  /// Welcomes in a row whose job could not be opened for now.
  let failedWelcomes = Atomic<Int>(0)
  /// How the coordinator is known where it serves artifacts; nil without keys.
  let coordinatorKey: PublicKey?

  /// Opens the cache, starts serving artifacts, and connects.
  ///
  /// - Throws: ``WorkerError``.
  public init(_ options: WorkerOptions, logger: Logger) throws {
    self.options = options
    self.logger = logger
    allocation = SharedAllocationEnd(options.allocationEnd)
    let security = try options.security()
    coordinatorKey = security.coordinatorKey
    cache = CacheDirectory(options.cacheDirectory)
    do {
      let coordinator = try Endpoint(options.endpoint)
      try cache.make()
      context = try ZMQContext { logger.warning("\($0)") }
      let host = coordinator.isLoopback ? "127.0.0.1" : LocalAddress.reaching(coordinator.host) ?? "*"
      server = try ArtifactServer(
        binding: Endpoint(host: host, port: nil).description, serving: nil, context: context, security: security,
        logger: logger)
      client = try ArtifactClient(context: context, security: security) { logger.warning("\($0)") }
      let ready = WireReady(options, artifactEndpoint: server.endpoint)
      id = ready.workerID
      link = try WorkerLink(
        connecting: options.endpoint, as: ready, context: context, security: security,
        clocks: WorkerLink.Clocks(patience: options.patience))
    } catch let error as MessagingError {
      switch error {
      case .badEndpoint, .unprotected: throw WorkerError.usage("\(error)")
      default: break
      }
      throw WorkerError.io("\(error)")
    } catch {
      throw WorkerError.io("\(error)")
    }
  }

  /// Asks the worker to end: running tasks are given back. From any thread.
  public func stop(_ reason: String) { stop(reason, .sentAway) }

  private func stop(_ reason: String, _ end: End) {
    stopReason.withLock { $0 = (reason, end) }
    link.post {}
  }

  /// Serves until the coordinator ends the job, the process is told to stop, or the coordinator is gone.
  ///
  /// - Throws: ``WorkerError``.
  public func run() throws {
    startSlots()
    if options.endsWithInput { watchInput() }
    logger.info("worker \(options.name) connects to \(options.endpoint), artifacts at \(server.endpoint)")
    let end = Result { try serve() }
    queue.close()
    slots.wait()
    link.close()
    server.close()
    client.close()
    context.terminate()
    tidy(after: end)
    if try end.get() == .coordinatorEnded {
      throw WorkerError.lostCoordinator("the coordinator at \(options.endpoint) has ended, its job has not")
    }
  }

  /// Of a job that is done nothing stays. Of one that may go on the cache does, for the worker that serves it next; but not in the
  /// temporary directory when this worker was told to go.
  private func tidy(after end: Result<End, any Error>) {
    guard let job = service.withLock({ $0 }) else { return cache.removeIfUnused() }
    let end = try? end.get()
    if end == .jobIsDone {
      let left = job.passes.passes.flatMap(\.outputs)
      if !left.isEmpty { logger.warning("\(left.count) artifacts of the job were never released") }
    }
    if end == .jobIsDone || (end == .sentAway && cache.isTemporary) { job.removeCache() }
    if end == .jobIsDone { cache.remove(job: job.id) }
  }

  /// Why the worker ended, when nothing went wrong.
  enum End: Sendable {
    case jobIsDone
    case coordinatorEnded
    /// By a signal, or because its machine is taken away.
    case sentAway
  }

  private func serve() throws -> End {
    var nextReminder = ContinuousClock.now + Self.reminder
    while true {
      // A result that found the link's queue full, or whose acknowledgement was lost.
      if ContinuousClock.now >= nextReminder {
        nextReminder = ContinuousClock.now + Self.reminder
        for result in queue.unacknowledged { send(.taskDone(result)) }
      }
      if let event = link.next(until: .now + Self.glance), let end = try handle(event) { return end }
      if let reason = stopReason.withLock({ $0 }) {
        sayGoodbye(reason.text)
        return reason.end
      }
      if let reason = allocation.reasonToLeave(isIdle: queue.isIdle) {
        logger.info("leaving: \(reason)")
        sayGoodbye(reason)
        return .sentAway
      }
      if isOrphaned {
        throw WorkerError.lostCoordinator("the coordinator's process \(options.parent ?? 0) has ended")
      }
    }
  }

  /// Whether the process that this one is to end with has ended.
  var isOrphaned: Bool { options.parent.map { getppid() != $0 } ?? false }

  /// Standard input carries nothing more: it ends when the connection does by which this worker was started.
  private func watchInput() {
    let thread = Thread { [self] in
      var bytes = [UInt8](repeating: 0, count: 256)
      while true {
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        if count == 0 || (count < 0 && errno != EINTR) {
          return stop("the connection it was started by is gone", .coordinatorEnded)
        }
      }
    }
    thread.name = "input"
    thread.start()
  }

  /// - Returns: nil to go on.
  private func handle(_ event: WorkerLink.Event) throws -> End? {
    switch event {
    case .message(let message): return try handle(message)
    case .posted(let work): work()
    case .silent(let duration):
      if duration >= options.patience {
        throw WorkerError.lostCoordinator("no word from the coordinator at \(options.endpoint) for \(duration)")
      }
      logger.warning("no word from the coordinator at \(options.endpoint) for \(duration)")
    case .rejected(let error):
      if case .otherVersion = error { throw WorkerError.badInput("\(options.endpoint): \(error)") }
      logger.warning("a message of the coordinator was dropped: \(error)")
    case .unsuited(let reason, let isFinal):
      // A coordinator that is started anew on another's port may be no more than a mistake of the moment.
      if isFinal, service.withLock({ $0 == nil }) { throw WorkerError.badInput("\(options.endpoint): \(reason)") }
      logger.warning("\(options.endpoint): \(reason)")
    case .failed(let error): throw WorkerError.io("\(error)")
    }
    return nil
  }

  private func handle(_ message: CoordinatorMessage) throws -> End? {
    switch message {
    case .welcome(let welcome): try enter(welcome)
    case .assign(let assign):
      // Not held, so that the coordinator finds it missing and gives it to another.
      if !allocation.takes(assign.task) { break }
      client.trust(assign.inputs.flatMap(\.holders))
      link.hold(assign.task, lease: assign.lease)
      queue.add(assign)
    case .cancel(let cancel):
      if queue.cancel(cancel.lease) { report(cancel.task, cancel.lease, TaskError.cancelled) }
      link.letGo(lease: cancel.lease)
    case .release(let release):
      service.withLock { $0?.passes }?.remove(release.digests.compactMap { Digest($0) })
    case .resultStored(let stored):
      queue.acknowledge(stored.lease)
      link.letGo(lease: stored.lease)
    case .refuse(let refuse):
      if refuse.code == .stopping { return .coordinatorEnded }
      throw WorkerError.badInput("\(options.endpoint): refused: \(refuse.text)")
    case .shutdown(let shutdown):
      logger.info("shut down: \(shutdown.reason)")
      // The coordinator waits for it, so as to know that the message came through.
      sayGoodbye("shut down")
      return shutdown.isFinished ? .jobIsDone : .coordinatorEnded
    case .holderLost(let lost): client.forsake(lost.artifactEndpoint)
    case .pulse: break
    }
    return nil
  }

  // MARK: slots

  private func startSlots() {
    let threads = max(1, options.threads / options.slots)
    for index in 1...options.slots {
      slots.enter()
      let thread = Thread { [self] in
        let team = ThreadTeam(threads: threads)
        while let (assign, control) = queue.next(control: control) { run(assign, control, team) }
        slots.leave()
      }
      thread.name = "slot-\(index)"
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  private func control(_ assign: WireAssign) -> TaskControl {
    TaskControl { [link] fraction, note in
      link.progress(assign.task, lease: assign.lease, fraction: fraction, note: note)
    }
  }

  private func run(_ assign: WireAssign, _ control: TaskControl, _ team: ThreadTeam) {
    let started = ContinuousClock.now
    do {
      guard let service = service.withLock({ $0 }) else { throw TaskError.other("a task came before the welcome") }
      try control.progress(0, "started")
      let store = service.store
      let copies = service.copies
      defer { copies.release(assign.lease) }
      let inputs = TaskInputs(store: store, inputs: assign.inputs, lease: assign.lease, copies: copies) {
        [client] artifact, holders throws(ArtifactError) in
        try client.fetch(artifact, from: holders, into: store) { control.wasCancelled }
      }
      let environment = TaskEnvironment(
        job: service.context, store: store, inputs: inputs, blocks: service.blocks, grams: service.grams,
        sweep: service.sweep, expected: service.expected, team: team, control: control)
      let outcome = try TaskControl.$current.withValue(control) {
        try team.observed(by: control.pulse) { try environment.run(assign.task) }
      }
      try inputs.confirm()
      copies.disown(outcome.outputs.compactMap { $0.artifact?.digest })
      if assign.task.kind.isPass { record(assign.task, outcome.outputs, in: service) }
      var done = WireTaskDone()
      done.task = assign.task
      done.lease = assign.lease
      done.seconds = (ContinuousClock.now - started) / .seconds(1)
      done.result = outcome.result
      done.outputs = outcome.outputs
      allocation.finished(assign.task, seconds: done.seconds)
      queue.finish(assign.lease, done)
      send(.taskDone(done))
    } catch {
      queue.finish(assign.lease, nil)
      report(assign.task, assign.lease, blamingCache(error))
    }
  }

  /// For whoever has the cache next. Without it no more is lost than the pass, and only if this process is.
  private func record(_ pass: WireTaskID, _ outputs: [WireArtifactRef], in job: ServedJob) {
    do throws(ArtifactError) { try job.passes.add(pass, outputs: outputs) } catch { logger.warning("\(error)") }
  }

  /// A file of the cache that makes no sense is no fault of the model. Its bytes are checked again before the next use.
  private func blamingCache(_ error: any Error) -> any Error {
    if case ArtifactError.corrupted(_, let digest, _) = error {
      return TaskError.missing(digest, holder: options.name, reason: "\(error)")
    }
    guard let error = error as? CheckpointError, let store = service.withLock({ $0?.store }),
      error.path.hasPrefix(store.directory + "/")
    else { return error }
    if let digest = Digest(hex: String(error.path.dropFirst(store.directory.count + 1))) { store.doubt(digest) }
    return TaskError.other("\(error)")
  }

  private func report(_ task: WireTaskID, _ lease: UInt64, _ error: any Error) {
    link.letGo(lease: lease)
    let failed = WireTaskFailed(task, lease, error)
    if failed.kind != .cancelled { logger.error("task failed: \(failed.message)") }
    send(.taskFailed(failed))
  }

  func sayGoodbye(_ reason: String) {
    var goodbye = WireGoodbye()
    goodbye.reason = reason.cut()
    try? link.send(.goodbye(goodbye))
  }

  func send(_ message: WorkerMessage) {
    // What cannot be sent now is sent again after the next welcome, or missed by the coordinator's clock.
    do { try link.send(message) } catch { logger.warning("\(message.kind) was not sent: \(error)") }
  }
}
