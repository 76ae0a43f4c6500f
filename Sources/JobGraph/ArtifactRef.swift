/// A named product of a task, addressed by the SHA-256 of its bytes.
public struct ArtifactRef: Sendable, Hashable {
  /// What it is to the task that made it: "gram/attn_in", "hidden/packed/3", "packed".
  public let name: String
  /// SHA-256, lower-case hexadecimal.
  public let digest: String
  /// Bytes.
  public let size: Int

  public init(name: String, digest: String, size: Int) {
    self.name = name
    self.digest = digest
    self.size = size
  }

  /// The partial Gram of a site.
  public static func gramName(_ site: String) -> String { "gram/\(site)" }
  static func isGram(_ name: String) -> Bool { name.hasPrefix(gramName("")) }
  /// What is missing in a block's output, by the activations of a site that are to repair it.
  public static func lossName(_ site: String) -> String { "loss/\(site)" }
  /// The input of block `block` for the task's shard, of a stream.
  public static func hiddenName(_ stream: HiddenStream, _ block: Int) -> String { "hidden/\(stream.rawValue)/\(block)" }
  /// A fitted linear, the merged linears of a block, or a tuned block.
  public static let packedName = "packed"
  /// A fitted linear among the inputs of a recollect.
  public static let fittedName = "fitted"
  /// What a micro-batch of a distillation gave.
  public static let gradientName = "gradient"
  /// The parameters of a model that is being distilled, as a step left them.
  public static let parametersName = "parameters"
  /// The tensors that a distillation has changed, in place of those of the packed blocks.
  public static let distilledName = "distilled"
}

/// Something a task needs and where it lies.
public struct TaskInput: Sendable, Hashable {
  public enum Holder: Sendable, Hashable {
    case worker(WorkerID)
    case coordinator
  }

  /// Which of its name: the shard of sums and hidden states, the block of a packed one, the linear of a block, the micro-batch of
  /// gradients; 0 where there is one only.
  public let index: Int
  public let artifact: ArtifactRef
  public let holder: Holder

  public init(index: Int, artifact: ArtifactRef, holder: Holder) {
    self.index = index
    self.artifact = artifact
    self.holder = holder
  }
}
