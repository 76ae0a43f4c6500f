import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// The model and tokens of a job, checked as far as can be without looking at single weights, and what is to be done.
struct JobInputs: Sendable {
  let plan: JobPlan
  /// The model that the manifest is of, whatever becomes of its directory.
  let checkpoint: Checkpoint
  let config: ModelConfig
  let manifest: ModelManifest
  /// The manifest's text: what a job, and a worker, tells the model by.
  let manifestArtifact: Artifact
  /// The token file.
  let tokens: Artifact
  let tokensPath: String
  /// A line for the user about what is not as one would expect, and can be worked with.
  let warning: String?

  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CRVQError``, ``CoordinatorError``, ``ArtifactError``: one line that names the
  ///   file.
  init(_ options: JobOptions) throws {
    try options.fit.validate()
    let opened = try OpenedInputs(options)
    try opened.requireFiniteOutsideBlocks()
    if options.tuneEpochs > 0 || options.distillEpochs != nil { try opened.requireTunable() }
    let plan = JobPlan(
      blockCount: opened.model.blockCount,
      linears: opened.model.linears.map {
        JobPlan.Linear(
          name: $0.name, site: $0.site.rawValue, outFeatures: $0.outFeatures, inFeatures: $0.inFeatures)
      },
      shards: options.plannedShards, length: opened.tokens.length, propagation: options.propagation,
      isTuned: options.tuneEpochs > 0, repairSite: options.repair ? LinearRole.repairing.site.rawValue : nil,
      distillEpochs: options.distillEpochs ?? 0)
    if options.distillEpochs != nil, plan.distillation == nil {
      throw CoordinatorError.usage("--held-out is \(options.heldOut); a distillation needs one at least to judge by")
    }
    try self.init(
      plan, opened.checkpoint, opened.config, tokensPath: options.calibration,
      warning: opened.model.noteOfUnread(in: opened.checkpoint, of: options.model))
  }

  /// - Throws: as ``init(_:)``.
  init(_ options: EvaluationOptions) throws {
    let model = try OpenedModel(options.model)
    try self.init(
      .evaluation(windows: options.windows), model.checkpoint, model.config, tokensPath: options.tokens,
      warning: model.noteOfUnread)
  }

  private init(
    _ plan: JobPlan, _ checkpoint: Checkpoint, _ config: ModelConfig, tokensPath: String, warning: String?
  ) throws {
    self.warning = warning
    self.plan = plan
    self.checkpoint = checkpoint
    self.config = config
    self.tokensPath = tokensPath
    manifest = try ModelManifest(of: checkpoint, config)
    manifestArtifact = manifest.artifact
    tokens = try OpenFile(tokensPath).artifact()
  }

  /// SHA-256 of the manifest, and so of the model.
  var modelDigest: String { manifestArtifact.digest.hex }
  /// SHA-256 of the token file.
  var tokensDigest: String { tokens.digest.hex }

  /// What is not as it was when the job was started, by name.
  func differences(from record: JobRecord, _ options: JobOptions) -> [String] {
    var changes: [String] = []
    if record.modelDigest != modelDigest { changes.append("the model \(options.model) differs") }
    if record.tokensDigest != tokensDigest { changes.append("the tokens \(options.calibration) differ") }
    return changes
  }
}
