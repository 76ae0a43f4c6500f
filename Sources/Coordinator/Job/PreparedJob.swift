import Foundation
import JobGraph
import Messaging

/// A job that is ready to run: its directory open, its inputs checked, its stored results known.
public struct PreparedJob: Sendable {
  public let directory: JobDirectory
  package let store: JobStore
  package let artifacts: ArtifactStore
  package let record: JobRecord
  let purpose: any JobPurpose
  let inputs: JobInputs
  /// What an earlier coordinator brought home, without what has been damaged since.
  package let results: [StoredResult]
  /// Lines for the user about results that were lost and will be made again.
  let losses: [String]
  /// Whether this process started the job.
  let isNew: Bool
}

extension PreparedJob {
  /// Writes a new job into a directory that holds none.
  init(starting purpose: any JobPurpose, _ inputs: JobInputs, in directory: JobDirectory, _ store: JobStore) throws {
    let record = JobRecord(
      name: UUID().uuidString.lowercased(), options: try JSONForm.record(purpose), modelDigest: inputs.modelDigest,
      tokensDigest: inputs.tokensDigest)
    // Of a job that is not resumed nothing has to last.
    let artifacts = try ArtifactStore(
      directory: directory.artifactsPath, durability: purpose.isResumable ? .durable : .cache)
    try store.create(record)
    // A log that is lost later takes results with it, but not the job.
    if purpose.isResumable { store.foldLog() }
    self.init(
      directory: directory, store: store, artifacts: artifacts, record: record, purpose: purpose, inputs: inputs,
      results: [], losses: [], isNew: true)
  }

  public var plan: JobPlan { inputs.plan }

  /// Lines for the user before the job begins.
  var warnings: [String] { [inputs.warning].compactMap(\.self) + losses }

  /// Takes the job back if this process started it and it cannot run: nothing has been done for it yet.
  public func discard() { if isNew { directory.discard() } }

  /// Steps of the distillation that need not be done any more.
  private func stepsDone(_ last: StoredResult?) -> Int {
    guard let last else { return 0 }
    return last.update?.isLast == true ? plan.distillation?.stepCount ?? 0 : last.part + 1
  }

  /// The scheduler as far as the job has come.
  func scheduler() -> Scheduler {
    var fitted: [TaskID: ArtifactRef] = [:]
    var merged: [Int: ArtifactRef] = [:]
    var tuned: [Int: ArtifactRef] = [:]
    let lastUpdate = results.filter { $0.kind == .update }.max { $0.part < $1.part }
    var verified: Set<Int> = []
    var evaluated: Set<Int> = []
    for result in results {
      switch result.kind {
      case .fit: fitted[.fit(block: result.block, linear: result.part)] = result.artifact
      case .merge: merged[result.block] = result.artifact
      case .tune: tuned[result.block] = result.artifact
      case .update: break
      case .verify: verified.insert(result.block)
      case .evaluate: evaluated.insert(result.part)
      }
    }
    return Scheduler(
      plan: plan, fitted: fitted, merged: merged, tuned: tuned, updated: lastUpdate?.artifact,
      stepsDone: stepsDone(lastUpdate), verified: verified, evaluated: evaluated, firstLease: UInt64(record.nextLease))
  }
}
