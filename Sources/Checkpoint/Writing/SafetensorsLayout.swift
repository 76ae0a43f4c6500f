/// Where everything lies in a safetensors file that is going to be written.
struct SafetensorsLayout {
  /// The length field and the header, padded with spaces so that the data begins at a multiple of eight bytes.
  let header: [UInt8]
  /// The sizes of the tensors, in order.
  let byteCounts: [Int]

  /// Lays tensors out one after another in the order given; the same input gives the same bytes.
  ///
  /// - Throws: ``CheckpointError`` of kind mismatch for what no reader would accept: a name used twice or reserved, a size
  ///   that overflows, a header beyond the format's limit.
  init(tensors: [TensorDeclaration], metadata: [String: String], path: String) throws {
    func mismatch(_ message: String) -> CheckpointError { CheckpointError(.mismatch, path: path, message) }
    var entries: [String] = []
    if !metadata.isEmpty {
      let pairs = JSONValue.object(metadata.mapValues { .string($0) })
      entries.append("\"__metadata__\":" + pairs.text(indented: false))
    }
    var byteCounts: [Int] = []
    var names: Set<String> = ["__metadata__"]
    var offset = 0
    for tensor in tensors {
      guard names.insert(tensor.name).inserted else {
        throw mismatch("tensor \(tensor.name): the name is used twice, or reserved by the format")
      }
      guard let byteCount = tensor.byteCount, tensor.shape.count <= SafetensorsHeader.dimensionCountMax else {
        throw mismatch(
          "tensor \(tensor.name): shape \(tensor.shape) has too many dimensions, overflows 64 bits or ends within a byte"
        )
      }
      let (end, overflow) = offset.addingReportingOverflow(byteCount)
      if overflow { throw mismatch("tensor \(tensor.name): the size of the file overflows 64 bits") }
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      entries.append(
        "\(JSONValue.quoted(tensor.name)):{\"dtype\":\"\(tensor.elementType.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      byteCounts.append(byteCount)
      offset = end
    }
    var text = Array("{\(entries.joined(separator: ","))}".utf8)
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    guard text.count <= SafetensorsHeader.byteCountMax else {
      throw mismatch("expected a header of at most \(SafetensorsHeader.byteCountMax) bytes, got \(text.count)")
    }
    header = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    self.byteCounts = byteCounts
  }
}
