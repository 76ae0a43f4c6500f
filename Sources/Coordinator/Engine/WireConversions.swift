import CRVQ
import Foundation
import JobGraph
import Messaging
import Transformer

// The scheduler's terms in those of the wire, and back.

extension TaskID {
  func wire(_ plan: JobPlan) -> WireTaskID {
    var task = WireTaskID()
    task.block = UInt32(block)
    switch self {
    case .collect(_, let shard):
      task.kind = .collect
      task.shard = UInt32(shard)
    case .recollect(_, let shard):
      task.kind = .recollect
      task.shard = UInt32(shard)
    case .fit(_, let linear):
      task.kind = .fit
      task.linear = plan.linears[linear].name
    case .tune:
      task.kind = .tune
    case .distill(let step, let batch):
      task.kind = .distill
      task.step = UInt32(step)
      task.batch = UInt32(batch)
    case .update(let step):
      task.kind = .update
      task.step = UInt32(step)
    case .verify:
      task.kind = .verify
    case .evaluate(let shard):
      task.kind = .evaluate
      task.shard = UInt32(shard)
    }
    return task
  }

  /// nil for a task that the plan does not have.
  package init?(_ wire: WireTaskID, _ plan: JobPlan) {
    let block = Int(wire.block)
    if wire.kind == .evaluate {
      guard Int(wire.shard) < plan.evaluationCount else { return nil }
      self = .evaluate(shard: Int(wire.shard))
      return
    }
    guard block < plan.blockCount else { return nil }
    let step = Int(wire.step)
    switch wire.kind {
    case .collect:
      guard Int(wire.shard) < plan.shards.count else { return nil }
      self = .collect(block: block, shard: Int(wire.shard))
    case .recollect:
      guard Int(wire.shard) < plan.shards.count, plan.recollects(Int(wire.shard)) else { return nil }
      self = .recollect(block: block, shard: Int(wire.shard))
    case .fit:
      guard let linear = plan.linears.firstIndex(where: { $0.name == wire.linear }) else { return nil }
      self = .fit(block: block, linear: linear)
    case .tune:
      guard plan.isTuned else { return nil }
      self = .tune(block: block)
    case .distill:
      guard let distillation = plan.distillation, step < distillation.stepCount,
        Int(wire.batch) < distillation.batchCount(ofStep: step)
      else { return nil }
      self = .distill(step: step, batch: Int(wire.batch))
    case .update:
      guard let distillation = plan.distillation, step < distillation.stepCount else { return nil }
      self = .update(step: step)
    case .verify:
      self = .verify(block: block)
    default:
      return nil
    }
  }
}

extension ArtifactRef {
  /// nil for a reference without a digest, which the codec does not let through.
  init?(_ wire: WireArtifactRef) {
    guard let artifact = wire.artifact, let size = Int(exactly: artifact.size) else { return nil }
    self.init(name: wire.name, digest: artifact.digest.hex, size: size)
  }

  var artifact: Artifact? { Digest(hex: digest).map { Artifact(digest: $0, size: UInt64(size)) } }
}

extension TaskFailure {
  init(_ wire: WireTaskFailed) {
    switch wire.kind {
    case .badInput: self = .badInput(wire.message)
    case .cancelled: self = .cancelled
    case .missingArtifact:
      self = .missingArtifact(digest: Digest(wire.missing.digest)?.hex ?? "")
    default: self = .other(wire.message)
    }
  }
}

extension WorkerID {
  /// As it is on the wire: 16 bytes.
  init(_ bytes: Data) { self.init(bytes.map { String(format: "%02x", $0) }.joined()) }
}

extension WorkerDescription {
  /// - Parameter key: that of the connection on which it came.
  init(_ wire: WireReady, key: PublicKey?) {
    self.init(
      id: WorkerID(wire.workerID), name: wire.name, host: wire.host, pid: Int(wire.pid), threads: Int(wire.threads),
      slots: Int(wire.slots), memory: Int(clamping: wire.memoryBytes), cpu: wire.cpu,
      artifactEndpoint: wire.artifactEndpoint, key: key)
  }
}

extension WireJobOptions {
  init(_ options: JobOptions) {
    self.init(options.fit, options.propagation)
    tuneEpochs = UInt32(options.tuneEpochs)
    repair = options.repair
    distillEpochs = UInt32(options.distillEpochs ?? 0)
  }

  init(_ fit: FitOptions, _ propagation: JobPlan.Propagation) {
    self.init()
    groupSize = UInt32(fit.format.groupSize)
    codebookBits = fit.format.codebookBits.map { UInt32($0) }
    criticalRatio = fit.format.criticalRatio
    importance =
      switch fit.importance {
      case .activation: .activation
      case .weight: .weight
      case .random: .random
      }
    self.propagation = propagation == .student ? .student : .teacher
    seed = fit.seed
    // Zero would mean the default.
    tolerance = max(fit.tolerance, .leastNonzeroMagnitude)
    rounds = UInt32(fit.maximumRounds)
    beam = UInt32(fit.beamWidth)
  }
}

extension StoredResult {
  /// The result a worker reported for a fit, a tune, an update, a verification or an evaluation; nil if the report is of another kind.
  init?(_ task: TaskID, _ done: WireTaskDone, worker: String) throws {
    let output = done.outputs.first.flatMap { ArtifactRef($0) }
    switch (task, done.result) {
    case (.fit(let block, let linear), .fit(let wire)):
      guard let output else { return nil }
      self.init(
        kind: .fit, block: block, part: linear, digest: output.digest, size: output.size,
        record: try JSONForm.record(FitRecord(wire)), worker: worker, seconds: done.seconds)
    case (.tune(let block), .tune(let wire)):
      guard let output else { return nil }
      self.init(
        kind: .tune, block: block, part: 0, digest: output.digest, size: output.size,
        record: try JSONForm.record(TuneRecord(wire)), worker: worker, seconds: done.seconds)
    case (.update(let step), .update(let wire)):
      guard let output else { return nil }
      self.init(
        kind: .update, block: 0, part: step, digest: output.digest, size: output.size,
        record: try JSONForm.record(UpdateRecord(wire)), worker: worker, seconds: done.seconds)
    case (.verify(let block), .verify(let wire)):
      self.init(
        kind: .verify, block: block, part: 0, digest: nil, size: nil, record: try JSONForm.record(VerifyRecord(wire)),
        worker: worker, seconds: done.seconds)
    case (.evaluate(let shard), .evaluate(let wire)):
      let loss = WindowLoss(
        negativeLogLikelihood: wire.negativeLogLikelihood, predictionCount: Int(clamping: wire.tokens))
      self.init(
        kind: .evaluate, block: 0, part: shard, digest: nil, size: nil, record: try loss.record(), worker: worker,
        seconds: done.seconds)
    default:
      return nil
    }
  }
}

extension FitRecord {
  fileprivate init(_ wire: WireFitResult) {
    self.init(
      relativeError: wire.relativeError, frobeniusError: wire.frobeniusError, bitsCodes: wire.bits.codes,
      bitsCodebooks: wire.bits.codebooks, bitsScales: wire.bits.scales, bitsChannelOrder: wire.bits.channelOrder,
      rounds: Int(wire.rounds))
  }
}

extension TuneRecord {
  fileprivate init(_ wire: WireTuneResult) {
    self.init(
      lossBefore: wire.lossBefore.ifFinite, lossAfter: wire.lossAfter.ifFinite, epochs: Int(wire.epochs),
      changed: wire.changed)
  }
}

extension UpdateRecord {
  fileprivate init(_ wire: WireUpdateResult) {
    self.init(
      lossBefore: wire.lossBefore.ifFinite, lossAfter: wire.lossAfter.ifFinite, epochs: Int(wire.epochs),
      bestEpoch: Int(wire.bestEpoch), isLast: wire.isLast)
  }
}

extension Double {
  /// JSON has no word for what is not a number.
  fileprivate var ifFinite: Double? { isFinite ? self : nil }
}

extension VerifyRecord {
  fileprivate init(_ wire: WireVerifyResult) {
    self.init(
      linears: wire.linears.map {
        Linear(name: $0.name, heldOutError: $0.heldOutError, frobeniusError: $0.frobeniusError)
      },
      outputError: wire.outputError)
  }
}
