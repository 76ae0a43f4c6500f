import Foundation

/// A model directory in Hugging Face's layout: `model.safetensors`, or shards that `model.safetensors.index.json` lists.
///
/// Opening it maps every file and validates every header; no weights are read. Reads are safe from several threads.
public struct Checkpoint: StoredTensorSource {
  /// The directory as the user named it.
  public let directory: String
  /// The tensors the index lists, or those of the one file, sorted.
  public let tensorNames: [String]
  /// The open safetensors files, sorted by name.
  public let shards: [SafetensorsFile]

  private let shardOfTensor: [String: SafetensorsFile]

  /// The name of a model in one file.
  public static let singleFileName = "model.safetensors"
  /// The name of the list that says which shard a tensor is in.
  public static let indexFileName = "model.safetensors.index.json"

  /// Opens a model.
  ///
  /// As in transformers, `model.safetensors` comes before an index if both are there.
  /// - Throws: ``CheckpointError`` naming the file and, where there is one, the tensor.
  public init(directory: String) throws {
    self.directory = directory
    guard try isModelDirectory(directory) else {
      throw CheckpointError(.missing, path: directory, "no such directory")
    }

    let single = joined(directory, Self.singleFileName)
    let index = joined(directory, Self.indexFileName)
    if FileManager.default.fileExists(atPath: single) {
      let file = try SafetensorsFile(path: single)
      shards = [file]
      shardOfTensor = Dictionary(uniqueKeysWithValues: file.tensorNames.map { ($0, file) })
    } else if FileManager.default.fileExists(atPath: index) {
      (shards, shardOfTensor) = try Self.open(ShardIndex(path: index), in: directory)
    } else {
      throw CheckpointError(
        .missing, path: directory, "no weights: expected \(Self.singleFileName) or \(Self.indexFileName)")
    }
    tensorNames = shardOfTensor.keys.sorted()
  }

  private static func open(
    _ index: ShardIndex, in directory: String
  ) throws -> ([SafetensorsFile], [String: SafetensorsFile]) {
    var files: [String: SafetensorsFile] = [:]
    for fileName in index.fileNames {
      let path = joined(directory, fileName)
      do {
        files[fileName] = try SafetensorsFile(path: path)
      } catch let error as CheckpointError where error.kind == .missing {
        throw CheckpointError(.missing, path: path, "no such file, though \(indexFileName) lists it")
      }
    }
    var shardOfTensor: [String: SafetensorsFile] = [:]
    for (name, fileName) in index.fileOfTensor.sorted(by: { $0.key < $1.key }) {
      guard let file = files[fileName], file.shape(of: name) != nil else {
        throw CheckpointError(
          .missing, path: joined(directory, fileName), "no tensor \(name), though \(indexFileName) places it here")
      }
      shardOfTensor[name] = file
    }
    return (index.fileNames.compactMap { files[$0] }, shardOfTensor)
  }

  /// The file that holds a tensor.
  ///
  /// - Throws: ``CheckpointError`` of kind missing.
  public func shard(of name: String) throws -> SafetensorsFile {
    guard let file = shardOfTensor[name] else { throw CheckpointError(.missing, path: directory, "no tensor \(name)") }
    return file
  }

  /// The shard of a tensor, or the directory if there is no such tensor.
  public func path(of name: String) -> String { shardOfTensor[name]?.path ?? directory }

  /// The shape of a tensor, or nil if there is none of that name.
  public func shape(of name: String) -> [Int]? { shardOfTensor[name]?.shape(of: name) }

  /// The type, shape and place of a tensor.
  public func info(_ name: String) throws -> TensorInfo { try shard(of: name).info(name) }

  /// A tensor widened to single precision, NaN and infinity refused: ``SafetensorsFile/floats(_:rows:requireFinite:)``.
  public func floats(_ name: String) throws -> [Float] {
    try shard(of: name).floats(name, requireFinite: true)
  }

  /// ``floats(_:)``, which refuses what is not finite as it is.
  public func finiteFloats(_ name: String) throws -> [Float] { try floats(name) }

  /// The slices `rows` of a tensor along its first dimension, as ``floats(_:)``: the embeddings of a few tokens, say.
  public func floats(_ name: String, rows: Range<Int>) throws -> [Float] {
    try shard(of: name).floats(name, rows: rows, requireFinite: true)
  }

  /// Looks at all values of a tensor, few at a time.
  ///
  /// - Throws: ``CheckpointError`` as ``floats(_:)``: malformed, naming the first NaN or infinity and its place.
  package func requireFinite(_ name: String) throws { try forEachFewRows(of: name) { _, _ in } }

  /// A tensor's bytes as they are in the file, valid inside `body` only.
  public func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try shard(of: name).withBytes(name, body)
  }

  /// A tensor's bytes in order and in pieces of bounded size, for copies: ``SafetensorsFile/forEachChunk(of:_:)``.
  public func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try shard(of: name).forEachChunk(of: name, body)
  }
}

/// Whether there is a directory of that name.
///
/// - Throws: ``CheckpointError`` of kind malformed if it is a file: one of a model's, most likely.
func isModelDirectory(_ path: String) throws -> Bool {
  var isDirectory = false
  guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return false }
  if !isDirectory { throw CheckpointError(.malformed, path: path, "expected a model directory, got a file") }
  return true
}

/// A path inside a directory.
func joined(_ directory: String, _ name: String) -> String {
  directory.hasSuffix("/") ? directory + name : directory + "/" + name
}
