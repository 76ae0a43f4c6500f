import Checkpoint

extension PackedLinear {
  /// Writes the linear's tensors as one safetensors file: how fits travel between machines.
  ///
  /// - Throws: ``CheckpointError`` of kind io; there is then no file at `path`.
  public func write(prefix: String, to path: String) throws {
    let tensors = encoded(prefix: prefix)
    let declared = tensors.map { TensorDeclaration(name: $0.name, elementType: $0.type, shape: $0.shape) }
    let writer = try SafetensorsWriter(path: path, tensors: declared)
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name) }
    try writer.finish()
  }
}
