/// One tensor as a safetensors header describes it.
public struct TensorInfo: Sendable, Equatable {
  /// The type of every element.
  public let elementType: ElementType
  /// Outermost dimension first; empty for a scalar.
  public let shape: [Int]
  /// Where the bytes lie, counted from the start of the file.
  public let byteRange: Range<Int>
}
