/// Anything tensors can be read from by name: a directory of safetensors files, one file, a packed model that decodes as it reads.
///
/// Reading one tensor costs that tensor's memory and no more.
public protocol TensorSource: Sendable {
  /// All names, sorted.
  var tensorNames: [String] { get }

  /// The shape of a tensor, outermost dimension first, or nil if there is none of that name. Reads no data.
  func shape(of name: String) -> [Int]?

  /// The tensor's values widened to single precision, row-major.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor and its file: missing, not a floating-point type, unreadable.
  func floats(_ name: String) throws -> [Float]
}
