import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// The model and tokens of a job, checked as far as can be without reading weights, their digests, and what is to be done.
struct JobInputs {
  let plan: JobPlan
  /// What a worker tells the model by: SHA-256 over configuration and headers.
  let modelIdentity: Digest
  /// SHA-256 over config.json and every weight file; its identity for a job that is not resumed.
  let modelDigest: String
  /// SHA-256 of the token file.
  let tokensDigest: String

  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CRVQError``, ``CoordinatorError``: one line that names the file.
  init(_ options: JobOptions) throws {
    try options.fit.validate()
    let config = try ModelConfig(directory: options.model, known: Architectures.names)
    let model = try LanguageModel(config: config)
    let checkpoint = try Checkpoint(directory: options.model)
    try model.validate(checkpoint)
    let tokens = try TokenFile(path: options.calibration, vocabularySize: model.shape.vocabularySize)
    guard options.sequences <= tokens.sequenceCount else {
      throw CoordinatorError.badInput(
        "\(options.calibration): the job uses \(options.sequences) sequences, the file has \(tokens.sequenceCount)")
    }
    guard let propagation = JobPlan.Propagation(rawValue: options.propagation) else {
      throw CoordinatorError.usage("--propagation is '\(options.propagation)', expected teacher or student")
    }
    plan = JobPlan(
      blockCount: model.blockCount,
      linears: model.linears(ofBlock: 0).map {
        JobPlan.Linear(
          name: $0.name, site: $0.site.rawValue, outFeatures: $0.outFeatures, inFeatures: $0.inFeatures)
      },
      shards: options.plannedShards, propagation: propagation, isTuned: options.tuneEpochs > 0,
      repairSite: options.repair ? LinearRole.repairing.site.rawValue : nil)
    modelIdentity = Digest.of(checkpoint.identityBytes(config))
    modelDigest = try FileDigest.of(files: [config.path] + checkpoint.weightFilePaths).hex
    tokensDigest = try FileDigest.of(path: options.calibration).hex
  }

  /// - Throws: as ``init(_:)``.
  init(_ options: EvaluationOptions) throws {
    let model = try ModelAtRest(options.model)
    plan = .evaluation(windows: options.windows)
    modelIdentity = Digest.of(model.checkpoint.identityBytes(model.config))
    modelDigest = modelIdentity.hex
    tokensDigest = try FileDigest.of(path: options.tokens).hex
  }

  /// What is not as it was when the job was started, by name.
  func differences(from record: JobRecord, _ options: JobOptions) -> [String] {
    var changes: [String] = []
    if record.modelDigest != modelDigest { changes.append("the model \(options.model) differs") }
    if record.tokensDigest != tokensDigest { changes.append("the tokens \(options.calibration) differ") }
    return changes
  }
}
