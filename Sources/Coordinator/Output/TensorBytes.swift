import Checkpoint

/// Where a tensor's bytes can be copied from, piece by piece.
protocol TensorBytes {
  func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws
  func info(_ name: String) throws -> TensorInfo
}

extension TensorBytes {
  func declaration(_ name: String) throws -> TensorDeclaration {
    let info = try info(name)
    return TensorDeclaration(name: name, elementType: info.elementType, shape: info.shape)
  }
}

extension SafetensorsFile: TensorBytes {}
extension ReplacedTensors: TensorBytes {}
extension Checkpoint: TensorBytes {}
