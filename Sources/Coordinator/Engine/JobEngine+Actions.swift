import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging

extension JobEngine {
  func perform(_ action: SchedulerAction) {
    switch action {
    case .assign(let worker, let task, let lease, let inputs): assign(task, lease, inputs, to: worker)
    case .store(let task, let lease, let worker, let outputs): store(task, lease, outputs, from: worker)
    case .acknowledge(let worker, let task, let lease):
      var stored = WireResultStored()
      stored.task = task.wire(job.plan)
      stored.lease = lease.number
      send(.resultStored(stored), to: worker)
    case .cancel(let worker, let task, let lease):
      ended(lease, .cancelled)
      var cancel = WireCancel()
      cancel.task = task.wire(job.plan)
      cancel.lease = lease.number
      cancel.reason = "its lease is over"
      send(.cancel(cancel), to: worker)
    case .release(let worker, let artifacts): release(artifacts, on: worker)
    case .dismiss(let worker, let reason):
      note("worker \(roster.name(of: worker)) is no longer part of the job: \(reason)")
      lose(worker, isDead: true, isSilent: true)
    case .forsake(let worker): forsake(worker)
    case .quarantine(let culprit): quarantine(culprit)
    case .readmit(let task): readmit(task)
    case .setAside(let worker, let pause, let reason): setAside(worker, for: pause, reason)
    case .merge(let block): merge(block)
    case .assemble: assemble()
    case .finish: outcome = .finished
    case .stop(let reason): fail(error(of: reason))
    }
  }

  private func send(_ message: CoordinatorMessage, to worker: WorkerID) {
    guard let peer = roster.peer(of: worker) else { return }
    do { try link.send(message, to: peer) } catch {
      logger.warning("\(message.kind) to \(roster.name(of: worker)): \(error)")
    }
  }

  /// In one message at a time.
  private static let releasedAtOnce = 4096

  private func release(_ artifacts: [ArtifactRef], on worker: WorkerID) {
    let digests = artifacts.compactMap { $0.artifact?.digest.data }
    for start in stride(from: 0, to: digests.count, by: Self.releasedAtOnce) {
      var release = WireRelease()
      release.digests = Array(digests[start..<min(start + Self.releasedAtOnce, digests.count)])
      send(.release(release), to: worker)
    }
  }

  /// Nobody is to wait for what a lost worker holds, this process included.
  private func forsake(_ worker: WorkerID) {
    guard let endpoint = roster[worker]?.artifactEndpoint else { return }
    client.forsake(endpoint)
    var lost = WireHolderLost()
    lost.artifactEndpoint = endpoint
    for other in roster.workers.keys where other != worker { send(.holderLost(lost), to: other) }
  }

  private func assign(_ task: TaskID, _ lease: Lease, _ inputs: [TaskInput], to worker: WorkerID) {
    var assign = WireAssign()
    assign.task = task.wire(job.plan)
    assign.lease = lease.number
    assign.leaseMs = UInt32(clamping: Int(scheduler.policy.leaseDuration / .milliseconds(1)))
    assign.inputs = inputs.compactMap { input in
      guard let artifact = input.artifact.artifact else { return nil }
      var wire = WireInputArtifact()
      wire.ref = WireArtifactRef(name: input.artifact.name, artifact)
      wire.index = UInt32(input.index)
      switch input.holder {
      case .coordinator: wire.artifactHolders = [artifactHolder]
      case .worker(let holder): wire.artifactHolders = roster[holder].map { [$0.artifactHolder] } ?? []
      }
      return wire
    }
    started(task, lease, inputs, on: worker)
    send(.assign(assign), to: worker)
  }

  /// Fetches a result, looks at it, makes it durable, and only then tells the scheduler.
  private func store(_ task: TaskID, _ lease: Lease, _ outputs: [ArtifactRef], from worker: WorkerID) {
    let report = reports.removeValue(forKey: lease)
    guard let report, let description = roster[worker],
      let result = try? StoredResult(task, report, worker: description.name)
    else {
      return decide(
        .storeFailed(task, lease, reason: "the report of \(task) is incomplete, or has a value that is not a number"))
    }
    let (client, store, artifacts) = (client, job.store, job.artifacts)
    client.trust([description.artifactEndpoint])
    background.submit { [self] in
      do {
        for artifact in outputs.compactMap(\.artifact) {
          try client.fetch(artifact, from: [description.artifactHolder], into: artifacts)
        }
        try job.purpose.check(result, of: job)
        try store.store(result)
        if [.tune, .update].contains(result.kind) { try job.removeSpent(by: result) }
        link.post { [self] in
          if case .tune = report.result { tuned(task, report.tune, result.artifact) }
          if case .update = report.result { updated(result) }
          fetched(result, outputs)
          decide(.stored(task, lease))
        }
      } catch let error where error.isOfOthers {
        link.post { [self] in
          logger.warning("what \(description.name) made for \(task) does not count: \(error)")
          decide(.storeFailed(task, lease, reason: "\(error)"))
        }
      } catch {
        link.post { [self] in fail(CoordinatorError(error)) }
      }
    }
  }

  private func tuned(_ task: TaskID, _ result: WireTuneResult, _ artifact: ArtifactRef?) {
    packed[task.block] = artifact
    if !result.lossAfter.isFinite {
      note("\(task.account): a loss was not a number after \(result.epochs) epochs; the fitted block is kept")
    }
  }

  private func updated(_ result: StoredResult) {
    guard let update = result.update else { return }
    if update.isLast { distilled = result.artifact }
    // A descent tells nothing that is not known already.
    guard update.isLast || update.epochs > epochsNoted else { return }
    epochsNoted = update.epochs
    note(update.isLast ? JobReport.Distillation(update).text : update.text)
  }

  private func merge(_ block: Int) {
    let (store, artifacts, plan) = (job.store, job.artifacts, job.plan)
    background.submit { [self] in
      do {
        let refs = try store.fits(ofBlock: block).compactMap(\.artifact)
        guard refs.count == plan.linears.count else {
          throw CoordinatorError.internal("block \(block): \(refs.count) of \(plan.linears.count) fits are stored")
        }
        let artifact = try BlockMerger(store: artifacts).merge(refs)
        let result = StoredResult(
          kind: .merge, block: block, part: 0, digest: artifact.digest, size: artifact.size, record: "{}",
          worker: "coordinator", seconds: 0)
        try store.store(result)
        try job.removeSpent(by: result)
        link.post { [self] in
          if !plan.isTuned { packed[block] = artifact }
          decide(.merged(block: block, artifact))
        }
      } catch {
        link.post { [self] in fail(CoordinatorError(error)) }
      }
    }
  }

  private func assemble() {
    enter(.writing)
    do { try saveSeconds() } catch { return fail(.io("\(error)")) }
    let (job, distilled) = (job, distilled)
    let blocks = packed.sorted { $0.key < $1.key }.map(\.value)
    background.submit { [self] in
      do {
        try job.purpose.conclude(job, blocks, distilled) {
          if background.isClosed { throw CoordinatorError.tryAgain("the job has been stopped") }
        }
        isConcluded.store(true, ordering: .releasing)
        link.post { [self] in decide(.assembled) }
      } catch CoordinatorError.usage(let text) {
        // Something has come into the output's way: when it is gone, the job can go on.
        link.post { [self] in fail(.tryAgain(text)) }
      } catch {
        link.post { [self] in fail(CoordinatorError(error)) }
      }
    }
  }

  private func error(of reason: StopReason) -> CoordinatorError {
    switch reason {
    case .quarantined(let culprits): .tryAgain(summary(of: culprits))
    case .badInput(let task, let message): .badInput("\(task.account): \(message)")
    case .attemptsExhausted(let task, let message):
      .tryAgain("\(task.account) failed too often, last: \(named(message))")
    }
  }

  /// To the scheduler a worker is its id, which tells people nothing.
  private func named(_ reason: String) -> String {
    guard let worker = roster.workers.keys.first(where: { reason.contains($0.description) }) else { return reason }
    return reason.replacing(worker.description, with: roster.name(of: worker))
  }
}

extension Error {
  /// Whether a worker is at fault, or the way to it, so that another may do better: not this machine's disk.
  fileprivate var isOfOthers: Bool {
    switch self as any Error {
    case let error as ArtifactError: !error.isLocal
    case let error as CheckpointError: error.kind != .io
    default: self is CRVQError
    }
  }
}

extension ArtifactError {
  /// Whether this machine's disk is at fault, and no other holder could help.
  fileprivate var isLocal: Bool {
    switch self {
    case .outOfSpace, .io: true
    default: false
    }
  }
}
