/// A tensor that is going to be written.
public struct TensorDeclaration: Sendable, Equatable {
  /// Its name in the file and in the index.
  public let name: String
  /// The type of every element.
  public let elementType: ElementType
  /// Outermost dimension first; empty for a scalar.
  public let shape: [Int]

  /// A tensor of that name, type and shape.
  public init(name: String, elementType: ElementType, shape: [Int]) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
  }

  /// The size of the data, or nil as for ``ElementType/byteCount(shape:)``.
  public var byteCount: Int? { elementType.byteCount(shape: shape) }
}
