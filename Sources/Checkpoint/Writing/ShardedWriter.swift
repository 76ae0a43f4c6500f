import Numerics

/// Writes the files of a ``ShardPlan`` one after another as a stream, and their index at the end. A plan of one file has an
/// index too.
///
/// Each file appears under its name when it is complete and durable. The index comes last: a directory with an index
/// holds the whole model.
public final class ShardedWriter {
  private let directory: String
  private let plan: ShardPlan
  private let metadata: [String: String]
  private var current = 0
  private var writer: SafetensorsWriter

  /// Starts writing into a directory, which must exist.
  ///
  /// - Parameter metadata: goes into every file; transformers reads `format`.
  /// - Throws: ``CheckpointError``: mismatch, io.
  public init(directory: String, plan: ShardPlan, metadata: [String: String] = ["format": "pt"]) throws {
    self.directory = directory
    self.plan = plan
    self.metadata = metadata
    writer = try Self.writer(of: plan.shards[0], directory, metadata)
  }

  private static func writer(
    of shard: ShardPlan.Shard, _ directory: String, _ metadata: [String: String]
  ) throws -> SafetensorsWriter {
    try SafetensorsWriter(path: joined(directory, shard.fileName), tensors: shard.tensors, metadata: metadata)
  }

  /// Finishes every file that has all its bytes and opens the one after it.
  private func advance() throws {
    while writer.isComplete, current + 1 < plan.shards.count {
      try writer.finish()
      current += 1
      writer = try Self.writer(of: plan.shards[current], directory, metadata)
    }
  }

  /// Appends a piece of the tensor whose turn it is: ``SafetensorsWriter``.
  public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws {
    if bytes.isEmpty { return }
    try advance()
    try writer.append(bytes, to: name)
  }

  /// Appends values in their memory layout.
  public func append(_ values: [some BitwiseCopyable], to name: String) throws {
    try values.withUnsafeBytes { try append($0, to: name) }
  }

  /// Appends a tensor from elsewhere as it is, in pieces of bounded size.
  ///
  /// - Throws: ``CheckpointError``, also if type or shape are not those declared.
  public func copy(_ name: String, from source: some StoredTensorSource) throws {
    let found = try source.declaration(name)
    guard plan.shards.contains(where: { $0.tensors.contains(found) }) else {
      throw CheckpointError(
        .mismatch, path: source.path(of: name),
        "tensor \(name): \(found.elementType.rawValue) of shape \(found.shape) is not what was declared for the copy")
    }
    try source.forEachChunk(of: name) { try append($0, to: name) }
  }

  /// Appends a tensor of floating-point numbers as binary16, a few rows at a time.
  ///
  /// - Throws: ``CheckpointError``, also of kind mismatch for a number that binary16 has not.
  public func narrow(_ name: String, from source: some StoredTensorSource) throws {
    try source.forEachFewRowsFittingHalf(of: name) { try append(Half.narrow($0), to: name) }
  }

  /// Finishes the last file and writes the index.
  ///
  /// - Throws: ``CheckpointError``: mismatch if a tensor is incomplete, io.
  public func finish() throws {
    try advance()
    guard current + 1 == plan.shards.count else {
      throw CheckpointError(.mismatch, path: writer.path, "expected all tensors, got an incomplete file at the end")
    }
    try writer.finish()
    try AtomicFile.write(plan.indexJSON.utf8, to: joined(directory, Checkpoint.indexFileName))
  }
}
