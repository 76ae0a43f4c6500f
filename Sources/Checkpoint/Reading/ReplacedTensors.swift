/// A file of tensors, some of which another file has in their place.
public struct ReplacedTensors: StoredTensorSource {
  private let original: SafetensorsFile
  private let replacement: SafetensorsFile?
  public let tensorNames: [String]

  /// - Parameter replacement: its tensors count, those that `original` lacks among them; nil for none.
  public init(_ original: SafetensorsFile, by replacement: SafetensorsFile?) {
    self.original = original
    self.replacement = replacement
    tensorNames = Set(original.tensorNames).union(replacement?.tensorNames ?? []).sorted()
  }

  private func source(of name: String) -> SafetensorsFile {
    if let replacement, replacement.shape(of: name) != nil { replacement } else { original }
  }

  public func shape(of name: String) -> [Int]? { source(of: name).shape(of: name) }
  public func info(_ name: String) throws -> TensorInfo { try source(of: name).info(name) }
  public func floats(_ name: String) throws -> [Float] { try source(of: name).floats(name) }
  public func finiteFloats(_ name: String) throws -> [Float] { try source(of: name).finiteFloats(name) }
  public func path(of name: String) -> String { source(of: name).path(of: name) }

  /// As that of the file which has the tensor.
  public func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try source(of: name).forEachChunk(of: name, body)
  }

  public func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try source(of: name).withBytes(name, body)
  }
}
