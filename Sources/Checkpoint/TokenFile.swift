/// Calibration or test text as token ids: a safetensors file whose `input_ids` is int32 or int64, [sequences, length].
///
/// The ids are checked once, when the file is opened, and read from the mapped file after that.
public struct TokenFile: Sendable {
  /// The file as the user named it.
  public let path: String
  /// How many sequences there are.
  public let sequenceCount: Int
  /// Tokens in each sequence.
  public let length: Int

  private let file: SafetensorsFile
  private let info: TensorInfo

  /// The tensor's name.
  public static let tensorName = "input_ids"

  /// Opens a file and checks every id.
  ///
  /// - Parameter vocabularySize: ids are in `0..<vocabularySize`.
  /// - Throws: ``CheckpointError``: missing, io; malformed, if it is no safetensors file, text for instance; mismatch, if
  ///   the tensor is not as described, is shorter than one sequence of two tokens, or an id is outside the vocabulary.
  public init(path: String, vocabularySize: Int) throws {
    do {
      file = try SafetensorsFile(path: path)
    } catch let error as CheckpointError where error.kind == .malformed {
      throw CheckpointError(.malformed, path: path, "\(error.message); scripts/tokenize makes token files from text")
    }
    func mismatch(_ message: String) -> CheckpointError { CheckpointError(.mismatch, path: path, message) }
    let name = Self.tensorName
    guard file.shape(of: name) != nil else {
      let found = file.tensorNames.prefix(5).joined(separator: ", ")
      throw mismatch("expected a tensor \(name), got \(found.isEmpty ? "an empty file" : found)")
    }
    info = try file.info(name)
    let shape = info.shape
    guard info.elementType == .int32 || info.elementType == .int64 else {
      throw mismatch("\(name): expected I32 or I64, got \(info.elementType.rawValue)")
    }
    guard shape.count == 2 else { throw mismatch("\(name): expected shape [sequences, length], got \(shape)") }
    guard shape[0] >= 1, shape[1] >= 2 else {
      throw mismatch("\(name): too short: expected at least one sequence of two tokens, got shape \(shape)")
    }
    self.path = path
    sequenceCount = shape[0]
    length = shape[1]
    try requireIDs(below: vocabularySize)
  }

  private func requireIDs(below vocabularySize: Int) throws {
    precondition(vocabularySize <= Int32.max, "ids are handed out as Int32")
    var index = 0
    try file.forEachChunk(of: Self.tensorName) { chunk in
      for id in tokens(chunk) {
        if id < 0 || id >= vocabularySize {
          throw CheckpointError(
            .mismatch, path: path,
            "\(Self.tensorName): expected ids in 0..<\(vocabularySize), the model's vocabulary, "
              + "got \(id) at position \(index % length) of sequence \(index / length)")
        }
        index += 1
      }
    }
  }

  private func tokens(_ bytes: UnsafeRawBufferPointer) -> [Int] {
    info.elementType == .int32 ? loadIntegers(bytes, as: Int32.self) : loadIntegers(bytes, as: Int64.self)
  }

  /// The tokens of a sequence.
  public func sequence(_ index: Int) -> [Int32] {
    precondition((0..<sequenceCount).contains(index), "sequence \(index) of \(sequenceCount)")
    let byteCount = length * info.elementType.byteCount
    let start = info.byteRange.lowerBound + index * byteCount
    // Every id was checked to be below a vocabulary's size, which fits.
    return tokens(file.bytes(in: start..<start + byteCount)).map(Int32.init)
  }
}
