import Checkpoint

extension PackedLinear {
  /// Writes the linear's tensors as one safetensors file.
  ///
  /// - Throws: ``CheckpointError`` of kind io; there is then no file at `path`.
  public func write(prefix: String, to path: String) throws {
    let tensors = encoded(prefix: prefix)
    let writer = try SafetensorsWriter(path: path, tensors: tensors.map(\.declaration))
    try writer.append(tensors)
    try writer.finish()
  }
}

extension SafetensorsWriter {
  /// Appends whole tensors whose turn it is, one after another.
  ///
  /// - Throws: as `append(_:to:)`.
  package func append(_ tensors: [PackedTensor]) throws {
    for tensor in tensors { try append(tensor.bytes, to: tensor.name) }
  }
}
