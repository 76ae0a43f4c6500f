import Checkpoint

/// Tensors in memory, by name.
public struct MemorySource: TensorSource {
  public var tensors: [String: (shape: [Int], values: [Float])]

  public init(_ tensors: [String: (shape: [Int], values: [Float])]) { self.tensors = tensors }

  /// All tensors of another source.
  public init(copying source: some TensorSource) throws {
    tensors = [:]
    for name in source.tensorNames { tensors[name] = (source.shape(of: name) ?? [], try source.floats(name)) }
  }

  public var tensorNames: [String] { tensors.keys.sorted() }
  public func shape(of name: String) -> [Int]? { tensors[name]?.shape }
  public func floats(_ name: String) throws -> [Float] { tensors[name]?.values ?? [] }
}
