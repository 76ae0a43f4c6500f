import Checkpoint

extension PackedLinear {
  /// Writes the linear's tensors as one safetensors file: how fits travel between machines.
  ///
  /// - Throws: ``CheckpointError`` of kind io; there is then no file at `path`.
  public func write(prefix: String, to path: String) throws {
    let tensors = encoded(prefix: prefix)
    let writer = try SafetensorsWriter(path: path, tensors: tensors.map(\.declaration))
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name) }
    try writer.finish()
  }
}
