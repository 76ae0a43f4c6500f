import Checkpoint

extension PackedLinear {
  /// Writes the linear's tensors as one safetensors file: how fits travel between machines.
  ///
  /// - Parameter isDurable: whether the file is to survive a power failure.
  /// - Throws: ``CheckpointError`` of kind io; there is then no file at `path`.
  public func write(prefix: String, to path: String, isDurable: Bool = true) throws {
    let tensors = encoded(prefix: prefix)
    let writer = try SafetensorsWriter(path: path, tensors: tensors.map(\.declaration), isDurable: isDurable)
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name) }
    try writer.finish()
  }
}
