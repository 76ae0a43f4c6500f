import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// What a worker knows of the job it serves: opened once, when the coordinator welcomes it.
struct JobContext: Sendable {
  let jobID: String
  let model: LanguageModel
  let checkpoint: Checkpoint
  /// What the model's parts are loaded from: the checkpoint, or what decodes it where a packed model is evaluated.
  let tensors: any TensorSource
  let tokens: TokenFile
  let shards: [JobPlan.Shard]
  /// Of a job that evaluates, a window for each shard; nil for a job that makes a model, which all below is for.
  let windows: TokenWindows?
  let fit: FitOptions
  let tune: TuneOptions
  let propagation: JobPlan.Propagation
  /// Whether each block's last linear is fitted after the others, to repair what they lost.
  let repairs: Bool

  /// Opens model and tokens where the coordinator says they are, and makes sure that they are the job's.
  ///
  /// - Throws: ``CheckpointError``, ``TransformerError``, ``CRVQError``, ``TaskError``: one line that says what is wrong.
  init(_ welcome: WireWelcome) throws {
    jobID = welcome.jobID
    let config = try ModelConfig(directory: welcome.modelDirectory, known: Architectures.names)
    model = try LanguageModel(config: config)
    checkpoint = try Checkpoint(directory: welcome.modelDirectory)
    let isEvaluation = welcome.options.window > 0
    let isPacked = isEvaluation && config.quantization != nil
    tensors = isPacked ? try PackedTensors(directory: welcome.modelDirectory) : checkpoint
    try model.validate(tensors)
    guard Digest.of(checkpoint.identityBytes(config)).data == welcome.modelDigest else {
      throw TaskError.badInput("\(welcome.modelDirectory): not the model of this job; its config or headers differ")
    }
    tokens = try TokenFile(path: welcome.tokensPath, vocabularySize: model.shape.vocabularySize)
    guard try Self.digest(ofFile: welcome.tokensPath).data == welcome.tokensDigest else {
      throw TaskError.badInput("\(welcome.tokensPath): not the tokens of this job; its bytes differ")
    }
    fit = try FitOptions(welcome.options)
    tune = TuneOptions(welcome.options)
    repairs = welcome.options.repair
    propagation = welcome.options.propagation == .student ? .student : .teacher
    shards = welcome.shards.map {
      JobPlan.Shard(firstSequence: Int($0.firstSequence), sequenceCount: Int($0.count), isHeldOut: $0.heldOut)
    }
    if isEvaluation {
      windows = try TokenWindows(of: tokens, length: Int(welcome.options.window), countMax: shards.count)
      guard windows?.count == shards.count else {
        throw TaskError.badInput("\(welcome.tokensPath): its windows are fewer than the \(shards.count) of the job")
      }
    } else {
      windows = nil
      guard let last = shards.last, last.firstSequence + last.sequenceCount <= tokens.sequenceCount else {
        throw TaskError.badInput("\(welcome.tokensPath): \(tokens.sequenceCount) sequences are fewer than the job uses")
      }
    }
  }

  private static func digest(ofFile path: String) throws -> Digest {
    do { return Digest.of(try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)) } catch {
      throw TaskError.badInput("\(path): \(error.localizedDescription)")
    }
  }

  /// The token ids of a shard.
  func tokens(ofShard shard: Int) -> [[Int32]] {
    let shard = shards[shard]
    return (0..<shard.sequenceCount).map { tokens.sequence(shard.firstSequence + $0) }
  }

  /// The sites a collect keeps Grams of: all, but that of the repairing linear where only a recollect can tell what it will see.
  func sites(ofShard shard: Int) -> [Site] {
    Site.allCases.filter { !recollects(shard) || $0 != LinearRole.repairing.site }
  }

  func recollects(_ shard: Int) -> Bool { repairs && !shards[shard].isHeldOut }

  func linear(named name: String) -> LinearSpec? { model.linears(ofBlock: 0).first { $0.name == name } }
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
