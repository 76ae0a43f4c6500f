import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// A job that is ready to run: its directory open, its inputs checked, its stored results known.
public struct PreparedJob: Sendable {
  public let directory: JobDirectory
  public let store: JobStore
  public let artifacts: ArtifactStore
  public let record: JobRecord
  public let options: JobOptions
  public let plan: JobPlan
  /// What a worker tells the model by.
  let modelIdentity: Digest
  /// What an earlier coordinator brought home, without what has been damaged since.
  public let results: [StoredResult]
  /// Lines for the user about results that were lost and will be made again.
  public let warnings: [String]

  /// Starts a job in a directory that holds none.
  ///
  /// - Throws: ``CoordinatorError``, ``CheckpointError``, ``TransformerError``, ``CRVQError``; nothing is left behind.
  public static func create(_ options: JobOptions, in jobPath: String) throws -> PreparedJob {
    if FileManager.default.fileExists(atPath: options.output) {
      throw CoordinatorError.usage("\(options.output): exists; remove it or choose another --output")
    }
    let inputs = try JobInputs(options)
    if JobDirectory.holdsJob(jobPath) { throw try refusal(options, inputs, jobPath) }
    let directory = try JobDirectory(jobPath)
    let store = try JobStore(path: directory.databasePath)
    let record = JobRecord(
      name: UUID().uuidString.lowercased(), options: try options.json(), modelDigest: inputs.modelDigest,
      tokensDigest: inputs.tokensDigest, nextLease: 1, endpoint: nil, seconds: 0, state: .running)
    try store.create(record)
    return PreparedJob(
      directory: directory, store: store,
      artifacts: try ArtifactStore(directory: directory.artifactsPath, durability: .durable), record: record,
      options: options, plan: inputs.plan, modelIdentity: inputs.modelIdentity, results: [], warnings: [])
  }

  /// Goes on with a job, with the options it was started with.
  ///
  /// - Throws: as ``create(_:in:)``; ``CoordinatorError`` naming a model or token file that has changed since.
  public static func resume(_ jobPath: String) throws -> PreparedJob {
    guard JobDirectory.holdsJob(jobPath) else {
      throw CoordinatorError.badInput("\(jobPath): holds no job; start one with crvq-coord launch")
    }
    let directory = try JobDirectory(jobPath)
    let store = try JobStore(path: directory.databasePath)
    let record = try existing(store, jobPath)
    let options = try JobOptions(json: record.options, path: directory.databasePath)
    if record.state == .finished, FileManager.default.fileExists(atPath: options.output) {
      throw CoordinatorError.usage("\(jobPath): the job is finished; its output is \(options.output)")
    }
    let inputs = try JobInputs(options)
    if let change = inputs.differences(from: record, options).first {
      throw CoordinatorError.badInput(
        "\(jobPath): \(change) since the job was started; restore it or start another job")
    }
    let artifacts = try ArtifactStore(directory: directory.artifactsPath, durability: .durable)
    let (results, lost) = try checked(store.results(), artifacts)
    try store.remove(lost.map(\.result))
    return PreparedJob(
      directory: directory, store: store, artifacts: artifacts, record: record, options: options, plan: inputs.plan,
      modelIdentity: inputs.modelIdentity, results: results, warnings: lost.map(\.reason))
  }

  private static func existing(_ store: JobStore, _ jobPath: String) throws -> JobRecord {
    guard let record = try store.job() else {
      throw CoordinatorError.badInput("\(jobPath): the job was never started; remove the directory and launch it again")
    }
    return record
  }

  /// Why a launch is refused where there is a job already.
  private static func refusal(_ options: JobOptions, _ inputs: JobInputs, _ jobPath: String) throws -> CoordinatorError
  {
    let store = try JobStore(path: JobDirectory.databasePath(in: jobPath), readOnly: true)
    let record = try existing(store, jobPath)
    let before = try JobOptions(json: record.options, path: jobPath)
    let changes = inputs.differences(from: record, options) + options.differences(from: before)
    if changes.isEmpty {
      return .usage("\(jobPath): holds this job already; go on with it: crvq-coord resume --job \(jobPath)")
    }
    return .badInput("\(jobPath): holds another job: \(changes.joined(separator: "; ")); choose another --job")
  }

  /// Results whose artifacts are in the store, unharmed; and those that have to be made again.
  private static func checked(
    _ results: [StoredResult], _ artifacts: ArtifactStore
  ) throws -> (kept: [StoredResult], lost: [(result: StoredResult, reason: String)]) {
    var kept: [StoredResult] = []
    var lost: [(StoredResult, String)] = []
    for result in results {
      guard let artifact = result.artifact else {
        kept.append(result)
        continue
      }
      do {
        _ = try artifacts.verifiedPath(of: artifact)
        kept.append(result)
      } catch let error as ArtifactError {
        lost.append((result, "\(result.kind.rawValue) of block \(result.block) is made again: \(error)"))
      }
    }
    // What went into a result that is there is not needed any more: merged blocks into tuned ones, fits into merged ones.
    for (source, user) in [(StoredResult.Kind.merge, StoredResult.Kind.tune), (.fit, .merge)] {
      let used = Set(kept.filter { $0.kind == user }.map(\.block))
      let spared = lost.map(\.0).filter { $0.kind == source && used.contains($0.block) }
      kept += spared
      lost.removeAll { spared.contains($0.0) }
    }
    // A verification stands for the bytes it saw.
    let unmerged = Set(lost.map(\.0).filter { $0.kind != .verify }.map(\.block))
    for result in kept where result.kind == .verify && unmerged.contains(result.block) {
      lost.append((result, "block \(result.block) is verified again"))
    }
    return (kept.filter { result in !lost.contains { $0.0 == result } }, lost)
  }
}

extension PreparedJob {
  /// The scheduler as far as the job has come.
  func scheduler(policy: SchedulerPolicy = SchedulerPolicy()) -> Scheduler {
    var fitted: [TaskID: ArtifactRef] = [:]
    var merged: [Int: ArtifactRef] = [:]
    var tuned: [Int: ArtifactRef] = [:]
    var verified: Set<Int> = []
    for result in results {
      switch result.kind {
      case .fit: fitted[.fit(block: result.block, linear: result.part)] = result.artifact
      case .merge: merged[result.block] = result.artifact
      case .tune: tuned[result.block] = result.artifact
      case .verify: verified.insert(result.block)
      }
    }
    return Scheduler(
      plan: plan, policy: policy, fitted: fitted, merged: merged, tuned: tuned, verified: verified,
      firstLease: UInt64(record.nextLease))
  }
}
