import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Numerics
import Transformer

/// What a worker knows of the job it serves: opened once, when the coordinator welcomes it.
struct JobContext: Sendable {
  let jobID: String
  let model: LanguageModel
  /// The model as it is in its files.
  let original: ModelTensors
  /// What decodes the files where a packed model is evaluated; nil where they are not packed.
  private let packed: PackedTensors?
  let tokens: TokenFile
  /// As the coordinator has it.
  let plan: JobPlan
  /// Of a job that evaluates, a window for each shard; nil for a job that makes a model, which all below is for.
  let windows: TokenWindows?
  let fit: FitOptions
  let tune: TuneOptions

  /// Opens model and tokens: where the coordinator says they are, or as it gives them.
  ///
  /// - Parameter noted: is given a line for the log about files here that are not the job's.
  /// - Throws: ``ArtifactError`` for a fault of this machine's disk; ``CheckpointError``, ``TransformerError``, ``CRVQError``, ``TaskError``: one line
  ///   that says what is wrong.
  init(_ welcome: WireWelcome, _ files: CoordinatorFiles, noted: @escaping @Sendable (String) -> Void) throws {
    jobID = welcome.jobID
    let directory = welcome.modelDirectory
    let manifest = try Self.manifest(welcome, files)
    let config = try ModelConfig(
      text: Array(manifest.config.utf8), path: "\(directory)/\(ModelConfig.fileName)", known: Architectures.names)
    model = try LanguageModel(config: config)
    original = ModelTensors(manifest, in: directory, files: files, noted: noted)
    let isEvaluation = welcome.options.window > 0
    let isPacked = isEvaluation && config.quantization != nil
    packed = isPacked ? try PackedTensors(original, config: config) : nil
    let tensors: any TensorSource = packed ?? original
    try model.validate(tensors)
    tokens = try TokenFile(
      path: Self.tokensPath(welcome, files, noted), vocabularySize: model.shape.vocabularySize)
    fit = try FitOptions(welcome.options)
    tune = TuneOptions(welcome.options)
    let shards = welcome.shards.map {
      JobPlan.Shard(firstSequence: Int($0.firstSequence), sequenceCount: Int($0.count), isHeldOut: $0.heldOut)
    }
    if isEvaluation {
      plan = .evaluation(windows: shards.count)
      windows = try TokenWindows(of: tokens, length: Int(welcome.options.window), countMax: shards.count)
      guard windows?.count == shards.count else {
        throw TaskError.badInput("\(welcome.tokensPath): its windows are fewer than the \(shards.count) of the job")
      }
    } else {
      guard JobPlan.areSlices(shards, of: tokens.sequenceCount) else {
        throw TaskError.badInput(
          "\(welcome.tokensPath): the job's shards are not of its \(tokens.sequenceCount) sequences")
      }
      plan = JobPlan(model, shards, length: tokens.length, welcome.options)
      windows = nil
    }
  }

  private static func manifest(_ welcome: WireWelcome, _ files: CoordinatorFiles) throws -> ModelManifest {
    guard let artifact = welcome.model.artifact else { throw TaskError.badInput("the welcome names no model") }
    let path = try files.path(of: artifact, named: welcome.modelDirectory)
    let text = try AtomicFile.read(path, byteCountMax: Int(clamping: artifact.size))
    return try text.withUnsafeBytes { try ModelManifest(parsing: $0, path: welcome.modelDirectory) }
  }

  /// Where the job's tokens are, on this machine.
  private static func tokensPath(
    _ welcome: WireWelcome, _ files: CoordinatorFiles, _ noted: (String) -> Void
  ) throws -> String {
    guard let artifact = welcome.tokens.artifact else { throw TaskError.badInput("the welcome names no tokens") }
    let path = welcome.tokensPath
    if let found = try? OpenFile(path).artifact() {
      if found == artifact { return path }
      noted("\(path): not the tokens of this job; the coordinator serves them")
    }
    return try files.path(of: artifact, named: path)
  }

  /// What the model's parts are loaded from, by whoever has the team.
  func tensors(_ team: ThreadTeam) -> any TensorSource { packed?.decoded(by: team) ?? original }

  /// What tunes go through; nil if no sequence is held out.
  var batches: MicroBatches? { MicroBatches(plan.shards, length: tokens.length) }

  /// Whether each block's last linear is fitted after the others, to repair what they lost.
  var repairs: Bool { plan.repairSite != nil }

  /// The token ids of a shard.
  func tokens(ofShard shard: Int) -> [[Int32]] {
    let shard = plan.shards[shard]
    return (0..<shard.sequenceCount).map { tokens.sequence(shard.firstSequence + $0) }
  }

  /// The token ids of some of the job's sequences.
  func tokens(of sequences: Range<Int>) -> [[Int32]] { sequences.map { tokens.sequence($0) } }

  /// The sites a collect keeps Grams of.
  func sites(ofShard shard: Int) -> [Site] {
    Site.allCases.filter { plan.collects($0.rawValue, ofShard: shard) }
  }

  func linear(named name: String) -> LinearSpec? { model.linears.first { $0.name == name } }
}

extension JobPlan {
  /// The plan of a job that makes a packed model, by the options of the wire.
  fileprivate init(_ model: LanguageModel, _ shards: [Shard], length: Int, _ options: WireJobOptions) {
    self.init(
      blockCount: model.blockCount,
      linears: model.linears.map {
        Linear(name: $0.name, site: $0.site.rawValue, outFeatures: $0.outFeatures, inFeatures: $0.inFeatures)
      },
      shards: shards, length: length, propagation: options.propagation == .student ? .student : .teacher,
      isTuned: options.tuneEpochs > 0, repairSite: options.repair ? LinearRole.repairing.site.rawValue : nil,
      distillEpochs: Int(options.distillEpochs))
  }
}

extension TuneOptions {
  /// The options of the wire.
  init(_ wire: WireJobOptions) {
    self.init(epochs: Int(wire.tuneEpochs))
    seed = wire.seed
  }
}

extension FitOptions {
  /// The options of the wire.
  ///
  /// - Throws: ``CRVQError`` naming one out of range.
  init(_ wire: WireJobOptions) throws {
    let importance: Importance =
      switch wire.importance {
      case .weight: .weight
      case .random: .random
      default: .activation
      }
    self.init(
      groupSize: Int(wire.groupSize), codebookBits: wire.codebookBits.map { Int($0) },
      criticalRatio: wire.criticalRatio, importance: importance, seed: wire.seed)
    // Zero means the default, in the protocol's terms.
    if wire.tolerance != 0 { tolerance = wire.tolerance }
    if wire.rounds != 0 { maximumRounds = Int(wire.rounds) }
    if wire.beam != 0 { beamWidth = Int(wire.beam) }
    try validate()
  }
}
