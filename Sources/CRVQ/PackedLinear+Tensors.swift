import Checkpoint

/// A tensor as it stands in a safetensors file: little-endian bytes, row-major.
public struct PackedTensor: Sendable, Equatable {
  public let name: String
  public let type: ElementType
  public let shape: [Int]
  public let bytes: [UInt8]

  public init(name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
    self.name = name
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  /// How a file that is to hold it declares it.
  public var declaration: TensorDeclaration { TensorDeclaration(name: name, elementType: type, shape: shape) }
}

extension PackedLinear {
  /// The tensors of this linear, named by ``PackedPart/name(of:)`` with `prefix` as the path.
  public func encoded(prefix: String) -> [PackedTensor] {
    let bits = storedBits
    let critical = criticalGroups
    func half(_ values: [UInt16]) -> [UInt8] { values.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } }
    var tensors = [
      PackedTensor(
        name: PackedPart.codes.name(of: prefix), type: .uint8, shape: [rows, CodeBits.rowBytes(groups, bits: bits[0])],
        bytes: CodeBits.pack(codes, rows: rows, count: groups, bits: bits[0]))
    ]
    if critical > 0 {
      let pieces = zip(criticalCodes, bits.dropFirst()).map {
        CodeBits.pack($0, rows: rows, count: critical, bits: $1)
      }
      tensors.append(
        PackedTensor(
          name: PackedPart.criticalCodes.name(of: prefix), type: .uint8, shape: criticalShape,
          bytes: Array(pieces.joined())))
    }
    let d = format.groupSize
    tensors.append(
      PackedTensor(
        name: PackedPart.codebooks.name(of: prefix), type: .float16, shape: [codebooks.count / d, d],
        bytes: half(codebooks)))
    tensors.append(
      PackedTensor(name: PackedPart.scales.name(of: prefix), type: .float16, shape: [rows], bytes: half(scales)))
    let isShort = columns <= Int(UInt16.max)
    tensors.append(
      PackedTensor(
        name: PackedPart.channelOrder.name(of: prefix), type: isShort ? .uint16 : .uint32, shape: [columns],
        bytes: channelOrder.flatMap { channel in
          (0..<(isShort ? 2 : 4)).map { UInt8(truncatingIfNeeded: channel >> UInt32(8 * $0)) }
        }))
    return tensors
  }

  /// [m - 1, out, bytes of a row], or flat where the codebooks have codes of different lengths.
  private var criticalShape: [Int] { Self.criticalShape(storedBits, rows: rows, critical: criticalGroups) }

  private static func criticalShape(_ bits: [Int], rows: Int, critical: Int) -> [Int] {
    let rowBytes = bits.dropFirst().map { CodeBits.rowBytes(critical, bits: $0) }
    return Set(bits.dropFirst()).count == 1
      ? [rowBytes.count, rows, rowBytes[0]] : [rowBytes.reduce(0) { $0 + rows * $1 }]
  }

  /// Reads a linear back from its tensors.
  ///
  /// - Parameter tensor: gives the tensor of a full name, or nil if there is none.
  /// - Throws: ``CRVQError`` (`malformed`) naming the tensor, what was expected and what was found; whatever `tensor` throws.
  public init(prefix: String, format: PackedFormat, tensor: (String) throws -> PackedTensor?) throws {
    try format.validate()
    func read(_ part: PackedPart, _ types: [ElementType], dimensions: Int) throws -> PackedTensor {
      let name = part.name(of: prefix)
      guard let found = try tensor(name) else { throw CRVQError(.malformed, "\(name): there is no such tensor") }
      guard types.contains(found.type) else {
        let expected = types.map(\.rawValue).joined(separator: " or ")
        throw CRVQError(.malformed, "\(name): type is \(found.type.rawValue); expected \(expected)")
      }
      guard found.shape.count == dimensions else {
        throw CRVQError(.malformed, "\(name): shape is \(found.shape); expected \(dimensions) dimensions")
      }
      try Self.expect(found, shape: found.shape)
      return found
    }
    let order = try read(.channelOrder, [.uint16, .uint32], dimensions: 1)
    let scales = try read(.scales, [.float16], dimensions: 1)
    let (rows, columns) = (scales.shape[0], order.shape[0])
    let limit = PackedFormat.maximumDimension
    guard (1...limit).contains(rows), (1...limit).contains(columns) else {
      throw CRVQError(
        .malformed, "\(prefix): the shape is [\(rows), \(columns)]; expected 1 to \(limit) rows and channels")
    }
    let (groups, critical) = (format.groups(columns: columns), format.criticalGroups(columns: columns))
    let bits = format.storedBits(columns: columns)
    let codebooks = try read(.codebooks, [.float16], dimensions: 2)
    try Self.expect(codebooks, shape: [bits.reduce(0) { $0 + 1 << $1 }, format.groupSize])
    let codes = try read(.codes, [.uint8], dimensions: 2)
    try Self.expect(codes, shape: [rows, CodeBits.rowBytes(groups, bits: bits[0])])
    let criticalName = PackedPart.criticalCodes.name(of: prefix)
    var lists: [[UInt16]] = []
    if critical > 0 {
      let shape = Self.criticalShape(bits, rows: rows, critical: critical)
      let packed = try read(.criticalCodes, [.uint8], dimensions: shape.count)
      try Self.expect(packed, shape: shape)
      var rest = packed.bytes[...]
      for b in bits.dropFirst() {
        let count = rows * CodeBits.rowBytes(critical, bits: b)
        lists.append(try Self.unpack(rest.prefix(count), packed.name, rows: rows, count: critical, bits: b))
        rest = rest.dropFirst(count)
      }
    } else if try tensor(criticalName) != nil {
      throw CRVQError(.malformed, "\(criticalName): present, but the linear has no critical groups")
    }
    try self.init(
      name: prefix, format: format, rows: rows, columns: columns,
      codes: try Self.unpack(codes.bytes[...], codes.name, rows: rows, count: groups, bits: bits[0]),
      criticalCodes: lists, codebooks: Self.words(codebooks), scales: Self.words(scales),
      channelOrder: Self.channels(order))
  }

  /// Checks a tensor's shape and that its bytes are as many as its shape says.
  private static func expect(_ tensor: PackedTensor, shape: [Int]) throws {
    guard tensor.shape == shape else {
      throw CRVQError(.malformed, "\(tensor.name): shape is \(tensor.shape); expected \(shape)")
    }
    guard let count = tensor.type.byteCount(shape: shape) else {
      throw CRVQError(.malformed, "\(tensor.name): shape \(shape) overflows")
    }
    guard tensor.bytes.count == count else {
      throw CRVQError(.malformed, "\(tensor.name): \(tensor.bytes.count) bytes; expected \(count) for shape \(shape)")
    }
  }

  private static func unpack(
    _ bytes: ArraySlice<UInt8>, _ name: String, rows: Int, count: Int, bits: Int
  ) throws -> [UInt16] {
    guard let codes = CodeBits.unpack(bytes, rows: rows, count: count, bits: bits) else {
      throw CRVQError(.malformed, "\(name): a bit behind the last code of a row is set")
    }
    return codes
  }

  private static func words(_ tensor: PackedTensor) -> [UInt16] {
    let bytes = tensor.bytes
    return stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
  }

  private static func channels(_ tensor: PackedTensor) -> [UInt32] {
    let size = tensor.type.byteCount
    return stride(from: 0, to: tensor.bytes.count, by: size).map { start in
      (0..<size).reduce(UInt32(0)) { $0 | UInt32(tensor.bytes[start + $1]) << UInt32(8 * $1) }
    }
  }
}
