/// Writes one safetensors file as a stream: the tensors are declared first, then their bytes are appended in that order,
/// in pieces of any size. Nothing is kept in memory.
///
/// The file appears under its name when ``finish()`` has made it durable, if it is to be that. A writer that fails, or is
/// dropped before, leaves nothing behind.
public final class SafetensorsWriter {
  /// The file that is written.
  public let path: String
  private let tensors: [TensorDeclaration]
  private let byteCounts: [Int]
  private let isDurable: Bool
  /// Gone when the file is finished or has failed.
  private var file: TemporaryFile?
  private var current = 0
  private var written = 0

  /// Starts a file.
  ///
  /// - Parameter isDurable: whether the finished file is to survive a power failure.
  /// - Throws: ``CheckpointError``: mismatch for declarations no reader would accept, io.
  public init(
    path: String, tensors: [TensorDeclaration], metadata: [String: String] = [:], isDurable: Bool = true
  ) throws {
    let layout = try SafetensorsLayout(tensors: tensors, metadata: metadata, path: path)
    self.path = path
    self.tensors = tensors
    self.isDurable = isDurable
    byteCounts = layout.byteCounts
    let file = try TemporaryFile(destination: path)
    try layout.header.withUnsafeBytes { try file.write($0) }
    self.file = file
    skipCompleteTensors()
  }

  private func skipCompleteTensors() {
    while current < tensors.count, written == byteCounts[current] {
      current += 1
      written = 0
    }
  }

  /// Whether every tensor has all its bytes.
  public var isComplete: Bool { current == tensors.count }

  /// Appends a piece of the tensor whose turn it is; `name` must be its name. A tensor of no elements takes no turn.
  ///
  /// - Throws: ``CheckpointError``: mismatch if it is another's turn or the piece is too long, io. The file is then lost.
  public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws {
    if bytes.isEmpty { return }
    do {
      guard let file else { throw CheckpointError(.mismatch, path: path, "tensor \(name): the file is closed") }
      guard current < tensors.count, tensors[current].name == name else {
        let expected = current < tensors.count ? "tensor \(tensors[current].name)" : "the end"
        throw CheckpointError(.mismatch, path: path, "expected \(expected) next, got tensor \(name)")
      }
      let rest = byteCounts[current] - written
      guard bytes.count <= rest else {
        throw CheckpointError(.mismatch, path: path, "tensor \(name): expected \(rest) more bytes, got \(bytes.count)")
      }
      try file.write(bytes)
    } catch {
      file = nil
      throw error
    }
    written += bytes.count
    skipCompleteTensors()
  }

  /// Appends values in their memory layout, as ``append(_:to:)``.
  public func append(_ values: [some BitwiseCopyable], to name: String) throws {
    try values.withUnsafeBytes { try append($0, to: name) }
  }

  /// Makes the file durable, if it is to be that, and gives it its name.
  ///
  /// - Throws: ``CheckpointError``: mismatch if a tensor is incomplete, io. The file is then lost.
  public func finish() throws {
    defer { file = nil }
    guard let file else { throw CheckpointError(.mismatch, path: path, "the file is closed") }
    guard isComplete else {
      throw CheckpointError(
        .mismatch, path: path,
        "tensor \(tensors[current].name): expected \(byteCounts[current]) bytes, got \(written) at the end")
    }
    try file.commit(isDurable: isDurable)
  }
}
