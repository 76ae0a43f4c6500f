import JobGraph
import Messaging
import Transformer

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
  /// Checks what a worker has made, before it counts.
  ///
  /// - Throws: ``CRVQError``, ``CheckpointError`` if it is not what was asked for.
  func check(_ result: StoredResult, of job: PreparedJob) throws
  /// Makes the job's output when every task is done.
  ///
  /// - Parameters:
  ///   - blocks: the packed blocks in order, of a job that makes any.
  ///   - distilled: tensors in place of some of theirs, of a job that distills.
  ///   - checkStop: called now and then; throws if the output is no longer wanted.
  func conclude(
    _ job: PreparedJob, _ blocks: [ArtifactRef], _ distilled: ArtifactRef?, checkStop: () throws -> Void
  ) throws
}

/// A job that makes a packed model.
extension JobOptions: JobPurpose {
  var tokens: String { calibration }
  var isResumable: Bool { true }

  func wireOptions() -> WireJobOptions { WireJobOptions(self) }

  func check(_ result: StoredResult, of job: PreparedJob) throws {
    guard let artifact = result.artifact,
      let check = try PackedCheck(result, of: LanguageModel(config: job.inputs.config), fit.format)
    else { return }
    try check.run(onFileAt: job.artifacts.verifiedPath(of: artifact))
  }

  func conclude(
    _ job: PreparedJob, _ blocks: [ArtifactRef], _ distilled: ArtifactRef?, checkStop: () throws -> Void
  ) throws {
    guard let record = try job.store.job() else { throw CoordinatorError.internal("the job database has no job") }
    // Written by a coordinator that died before it could say so.
    if try record.isOutput(self) { return }
    let results = try job.store.results()
    let assembler = ModelAssembler(options: self, inputs: job.inputs, store: job.artifacts)
    try assembler.assemble(
      blocks, distilled,
      report: { try JobReport(options: self, plan: job.plan, job: record, results: results, files: $0) },
      checkStop: checkStop)
  }
}
