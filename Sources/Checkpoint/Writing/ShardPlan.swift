/// How the tensors of a model are spread over files: in order, each file filled up to a size.
///
/// The plan depends on the declarations alone, so that a model written again is the same bytes in the same files.
public struct ShardPlan: Sendable, Equatable {
  /// One file of the model.
  public struct Shard: Sendable, Equatable {
    /// `model-00001-of-00003.safetensors`.
    public let fileName: String
    /// What is in it, in order.
    public let tensors: [TensorDeclaration]
  }

  /// The files, in order; at least one.
  public let shards: [Shard]
  /// The data of all tensors together, headers not counted.
  public let byteCount: Int

  /// The size transformers gives its shards.
  public static let defaultShardByteCountMax = 5_000_000_000

  /// Plans the files of a model.
  ///
  /// - Parameter shardByteCountMax: the most data in a file; a tensor larger than that has a file to itself.
  /// - Throws: ``CheckpointError`` of kind mismatch: a name twice, or sizes that overflow.
  public init(tensors: [TensorDeclaration], shardByteCountMax: Int = defaultShardByteCountMax) throws {
    func mismatch(_ message: String) -> CheckpointError {
      CheckpointError(.mismatch, path: Checkpoint.indexFileName, message)
    }
    var groups: [[TensorDeclaration]] = [[]]
    var inGroup = 0
    var total = 0
    var names: Set<String> = []
    for tensor in tensors {
      guard names.insert(tensor.name).inserted else { throw mismatch("tensor \(tensor.name): the name is used twice") }
      guard let byteCount = tensor.byteCount, case let (sum, overflow) = total.addingReportingOverflow(byteCount),
        !overflow
      else {
        throw mismatch(
          "tensor \(tensor.name): the size of shape \(tensor.shape) overflows 64 bits or ends within a byte")
      }
      // What is in the group is part of the total, so this sum cannot overflow either.
      if inGroup + byteCount > shardByteCountMax, groups.last?.isEmpty == false {
        groups.append([])
        inGroup = 0
      }
      groups[groups.count - 1].append(tensor)
      inGroup += byteCount
      total = sum
    }
    byteCount = total
    let count = groups.count
    shards = groups.enumerated().map { index, tensors in
      Shard(fileName: "model-\(Self.fiveDigits(index + 1))-of-\(Self.fiveDigits(count)).safetensors", tensors: tensors)
    }
  }

  private static func fiveDigits(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  /// The text of `model.safetensors.index.json`.
  public var indexJSON: String {
    var fileOfTensor: [String: JSONValue] = [:]
    for shard in shards {
      for tensor in shard.tensors { fileOfTensor[tensor.name] = .string(shard.fileName) }
    }
    let index = JSONValue.object([
      "metadata": .object(["total_size": .number(String(byteCount))]), "weight_map": .object(fileOfTensor),
    ])
    return index.text(indented: true) + "\n"
  }
}
