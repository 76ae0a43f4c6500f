import JobGraph
import Messaging

/// What a job is for: what its workers are told, and what is made of their results. How it runs is the same for all.
protocol JobPurpose: Encodable, Sendable {
  /// The model's directory, absolute.
  var model: String { get }
  /// The token file, absolute.
  var tokens: String { get }
  /// Whether the job's directory outlives its coordinator, so that another one can go on.
  var isResumable: Bool { get }

  /// What workers are told.
  func wireOptions() -> WireJobOptions
  /// Makes the job's output when every task is done.
  ///
  /// - Parameters:
  ///   - blocks: the packed blocks in order, of a job that makes any.
  ///   - distilled: tensors in place of some of theirs, of a job that distills.
  func conclude(_ job: PreparedJob, _ blocks: [ArtifactRef], _ distilled: ArtifactRef?) throws
}

/// A job that makes a packed model.
extension JobOptions: JobPurpose {
  var tokens: String { calibration }
  var isResumable: Bool { true }

  func wireOptions() -> WireJobOptions { WireJobOptions(self) }

  func conclude(_ job: PreparedJob, _ blocks: [ArtifactRef], _ distilled: ArtifactRef?) throws {
    guard let record = try job.store.job() else { throw CoordinatorError.internal("the job database has no job") }
    // Written by a coordinator that died before it could say so.
    if try record.isOutput(self) { return }
    let results = try job.store.results()
    try ModelAssembler(options: self, store: job.artifacts).assemble(blocks, distilled) { files in
      try JobReport(options: self, plan: job.plan, job: record, results: results, files: files)
    }
  }
}
