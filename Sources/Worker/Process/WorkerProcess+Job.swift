import Foundation
import Messaging
import Synchronization

// The job that a coordinator takes the worker in for.
extension WorkerProcess {
  /// Welcomes whose job cannot be opened before the worker gives up.
  private static let failedWelcomesMax = 3

  /// A coordinator took the worker in, perhaps after a lost connection.
  ///
  /// - Throws: ``WorkerError`` for a job that this worker cannot serve.
  func enter(_ welcome: WireWelcome) throws {
    guard let job = try job(of: welcome) else { return }
    for page in job.inventory { send(.inventory(page)) }
    for result in queue.unacknowledged { send(.taskDone(result)) }
  }

  /// The job of a welcome, opened if it is not the one being served already.
  ///
  /// - Returns: nil if the worker is told to stop meanwhile, or the coordinator is out of reach for now: it welcomes again.
  private func job(of welcome: WireWelcome) throws -> ServedJob? {
    let coordinator = ArtifactHolder(welcome.artifactEndpoint, key: coordinatorKey)
    if let served = service.withLock({ $0 }), served.id == welcome.jobID {
      served.files.coordinator = coordinator
      return served
    }
    do {
      let job = try open(welcome, coordinator)
      failedWelcomes.store(0, ordering: .relaxed)
      return job
    } catch TaskError.cancelled {
      return nil
    } catch {
      let error = Self.workerError(error)
      let failures = failedWelcomes.wrappingAdd(1, ordering: .relaxed).newValue
      if case .io = error, failures < Self.failedWelcomesMax {
        logger.warning("\(error); waiting for the coordinator's next word")
        return nil
      }
      sayGoodbye("\(error)")
      throw error
    }
  }

  private func open(_ welcome: WireWelcome, _ coordinator: ArtifactHolder) throws -> ServedJob {
    for lease in queue.drop() { link.letGo(lease: lease) }
    // Taken first: what the workers of a machine have in common stays as long as one of them has a berth.
    let berth = try cache.berth(forJob: welcome.jobID, of: id)
    cache.removeOthers(than: welcome.jobID)
    let job: ServedJob
    do {
      let files = try CoordinatorFiles(in: cache.filesPath(ofJob: welcome.jobID), from: coordinator, by: client) {
        [weak self] in self?.isUnwanted ?? true
      }
      let context = try JobContext(welcome, files) { [logger] in logger.warning("\($0)") }
      job = try ServedJob(context, files, at: berth, copiesBytesMax: options.copiesBytesMax)
    } catch {
      if berth.predecessor == nil { berth.remove() }
      throw error
    }
    job.store.reportDamage { [logger] in logger.warning("\($0)") }
    server.serve(job.store)
    service.withLock { $0 = job }
    let (place, passes) = (job.context.original.place, job.passes.passes.count)
    logger.info("serving job \(job.id), its model \(place), \(passes) passes are there already")
    return job
  }

  /// Whether what this thread waits for is no longer wanted. A task that waits keeps its lease.
  private var isUnwanted: Bool {
    guard let control = TaskControl.current else { return stopReason.withLock { $0 != nil } || options.isOrphaned }
    control.pulse()
    return control.wasCancelled
  }

  private static func workerError(_ error: any Error) -> WorkerError {
    switch error {
    case let error as WorkerError: error
    case let error as ArtifactError: .io("\(error)")
    case TaskError.other(let text): .io(text)
    default: .badInput("\(error)")
    }
  }
}
