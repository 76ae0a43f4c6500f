/// A part of a model as it goes from machine to machine: a safetensors file with the tensors of one block, or with a single
/// tensor that belongs to none.
///
/// Its layout follows from the tensors alone: however a model is spread over files, its parts are the same bytes.
public struct ModelPart: Sendable, Equatable {
  /// "block 3", or the name of the tensor; for messages.
  public let name: String
  /// What the file begins with: the length of the header, and the header.
  public let header: [UInt8]
  /// The size of the whole file.
  public let byteCount: Int
  /// By name; their byte ranges are places in this file.
  public let tensors: [String: TensorInfo]

  /// Lays out a part, its tensors by name.
  ///
  /// - Throws: ``CheckpointError`` for tensors that no file could hold.
  public init(name: String, tensors: [TensorDeclaration]) throws {
    let sorted = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let layout = try SafetensorsLayout(tensors: sorted, metadata: [:], path: name)
    try self.init(
      name: name, header: layout.header, byteCount: layout.byteCounts.reduce(layout.header.count, +), path: name)
  }

  /// - Parameter path: where the part is named, for messages.
  /// - Throws: ``CheckpointError`` of kind malformed for a header that a file of that size cannot have.
  init(name: String, header: [UInt8], byteCount: Int, path: String) throws {
    let parsed = try header.withUnsafeBytes {
      try SafetensorsHeader(file: $0, path: path, fileByteCount: byteCount)
    }
    self.name = name
    self.header = header
    self.byteCount = byteCount
    tensors = parsed.tensors
  }

  /// The names of the tensors as they follow one another in the file.
  public var tensorNames: [String] {
    tensors.sorted { ($0.value.byteRange.lowerBound, $0.key) < ($1.value.byteRange.lowerBound, $1.key) }.map(\.key)
  }

  /// Hands out the file's bytes in order and in pieces of bounded size, the tensors' taken from a model that has them.
  ///
  /// - Throws: ``CheckpointError`` of kind missing; what `body` throws.
  public func forEachChunk(from model: Checkpoint, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try header.withUnsafeBytes(body)
    for name in tensorNames { try model.forEachChunk(of: name, body) }
  }

  /// Whether a model has the part's tensors, each of its type and shape.
  public func fits(_ model: Checkpoint) -> Bool {
    tensors.allSatisfy { name, info in
      guard let found = try? model.info(name) else { return false }
      return found.elementType == info.elementType && found.shape == info.shape
    }
  }
}

extension Checkpoint {
  /// The model in parts: the blocks in order, then each tensor of none, by name.
  ///
  /// - Parameter block: the block that a tensor of this name belongs to; nil for none.
  public func parts(block: (_ tensor: String) -> Int?) throws -> [ModelPart] {
    var blocks: [Int: [TensorDeclaration]] = [:]
    var others: [TensorDeclaration] = []
    for name in tensorNames {
      let info = try info(name)
      let tensor = TensorDeclaration(name: name, elementType: info.elementType, shape: info.shape)
      if let block = block(name) { blocks[block, default: []].append(tensor) } else { others.append(tensor) }
    }
    return try blocks.sorted { $0.key < $1.key }.map { try ModelPart(name: "block \($0.key)", tensors: $0.value) }
      + others.map { try ModelPart(name: $0.name, tensors: [$0]) }
  }
}
