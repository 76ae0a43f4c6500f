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
  /// How often the loop looks at its parent, and at its cache.
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
  let link: WorkerLink
  let queue = TaskQueue()
  let slots = DispatchGroup()
  let allocation: SharedAllocationEnd
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
      let host = try Self.address(towards: coordinator, options, logger)
      server = try ArtifactServer(
        binding: Endpoint(host: host, port: nil).description, serving: nil, context: context, security: security,
        logger: logger)
      client = try ArtifactClient(context: context, security: security) { logger.warning("\($0)") }
      let ready = WireReady(options, artifactEndpoint: server.endpoint)
      id = ready.workerID
      link = try WorkerLink(
        connecting: options.endpoint, as: ready, context: context, security: security,
        clocks: WorkerLink.Clocks(patience: options.patience))
    } catch let error as WorkerError {
      throw error
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

  /// The address that others on the coordinator's side of the network know this machine by. A name that means nothing yet, or a
  /// network that is not up yet, is waited for: the coordinator need not be there first.
  ///
  /// - Throws: ``WorkerError/lostCoordinator(_:)`` after the usual patience, which the link then has once more.
  private static func address(
    towards coordinator: Endpoint, _ options: WorkerOptions, _ logger: Logger
  ) throws -> String {
    if coordinator.isLoopback { return "127.0.0.1" }
    let patience = min(options.patience, WorkerOptions.usualPatience)
    let deadline = ContinuousClock.now + patience
    var isNoted = false
    while true {
      if let address = LocalAddress.reaching(coordinator.host) { return address }
      if ContinuousClock.now >= deadline || options.isOrphaned {
        throw WorkerError.lostCoordinator("\(coordinator): no such host, or no way there, for \(patience.inSeconds)")
      }
      if !isNoted { logger.warning("\(coordinator): no such host, or no way there; trying for \(patience.inSeconds)") }
      isNoted = true
      Thread.sleep(forTimeInterval: glance / .seconds(1))
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
    switch try end.get() {
    case .jobIsDone, .sentAway: break
    case .coordinatorEnded:
      throw WorkerError.lostCoordinator("the coordinator at \(options.endpoint) has ended, its job has not")
    case .cacheIsGone:
      throw WorkerError.io("\(cache.path): somebody has removed this worker's files in it; start the worker again")
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
    let leavesNothing = end == .sentAway && cache.isTemporary
    if end == .jobIsDone || leavesNothing { job.removeCache() }
    if end == .jobIsDone { cache.remove(job: job.id) }
    if leavesNothing { cache.removeIfUnused() }
  }

  /// Why the worker ended, when nothing went wrong.
  enum End: Sendable {
    case jobIsDone
    case coordinatorEnded
    /// By a signal, or because its machine is taken away.
    case sentAway
    /// It could do nothing more. The next process makes its own.
    case cacheIsGone
  }

  /// Has the worker end if its part of the cache is gone, where every task would fail. From any thread.
  func leavesForLackOfCache() -> Bool {
    guard let job = service.withLock({ $0 }), job.isCacheGone else { return false }
    stopReason.withLock { if $0 == nil { $0 = ("its cache was removed", End.cacheIsGone) } }
    link.post {}
    return true
  }

  private func serve() throws -> End {
    var nextReminder = ContinuousClock.now + Self.reminder
    var nextGlance = ContinuousClock.now
    while true {
      // A result that found the link's queue full, or whose acknowledgement was lost.
      if ContinuousClock.now >= nextReminder {
        nextReminder = ContinuousClock.now + Self.reminder
        for result in queue.unacknowledged { send(.taskDone(result)) }
      }
      if let event = link.next(until: .now + Self.glance), let end = try handle(event) { return end }
      if ContinuousClock.now >= nextGlance {
        nextGlance = .now + Self.glance
        _ = leavesForLackOfCache()
      }
      if let reason = stopReason.withLock({ $0 }) {
        sayGoodbye(reason.text)
        return reason.end
      }
      if let reason = allocation.reasonToLeave(isIdle: queue.isIdle) {
        logger.info("leaving: \(reason)")
        sayGoodbye(reason)
        return .sentAway
      }
      if options.isOrphaned {
        throw WorkerError.lostCoordinator("the coordinator's process \(options.parent ?? 0) has ended")
      }
    }
  }

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
      let account = "no word from the coordinator at \(options.endpoint) for \(duration.inSeconds)"
      if duration >= options.patience { throw WorkerError.lostCoordinator(account) }
      logger.warning("\(account)")
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
      // Said at once, so that the coordinator gives it to another.
      if !allocation.takes(assign.task) {
        report(assign.task, assign.lease, TaskError.cancelled)
        break
      }
      client.trust(assign.inputs.flatMap(\.holders))
      link.hold(assign.task, lease: assign.lease)
      queue.add(assign)
    case .cancel(let cancel):
      switch queue.cancel(cancel.lease) {
      case .waiting: report(cancel.task, cancel.lease, TaskError.cancelled)
      // Its slot is not free before it has ended, and the coordinator is not to think so.
      case .running: break
      case .nowhere: link.letGo(lease: cancel.lease)
      }
    case .release(let release):
      service.withLock { $0?.passes }?.remove(release.digests.compactMap { Digest($0) })
    case .resultStored(let stored):
      queue.acknowledge(stored.lease)
      link.letGo(lease: stored.lease)
    case .refuse(let refuse):
      if refuse.code == .stopping { return .coordinatorEnded }
      let text = "\(options.endpoint): refused: \(refuse.text)"
      // The coordinator that resumes the job will take it.
      throw refuse.code == .tooManyWorkers ? WorkerError.lostCoordinator(text) : .badInput(text)
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

extension Duration {
  /// For people: "27 s".
  fileprivate var inSeconds: String { "\(Int((self / .seconds(1)).rounded())) s" }
}
