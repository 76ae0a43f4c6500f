import Numerics

/// One safetensors file, mapped into memory, its header validated whole before any data is used.
///
/// Reads are safe from several threads at once. The file must not be rewritten in place or cut short while it is open: its size is
/// checked once, when it is opened. See `FileMapping` for what becomes of a process that reads past a new end.
public final class SafetensorsFile: StoredTensorSource {
  /// The file as the user knows it.
  public let path: String
  /// All tensors, sorted by name.
  public let tensorNames: [String]
  /// The free text pairs under `__metadata__`.
  public let metadata: [String: String]

  private let file: MappedFile
  private let tensors: [String: TensorInfo]
  private let dataStart: Int

  /// Opens and validates a file.
  ///
  /// - Parameter shownPath: what messages call it; nil for its path.
  /// - Throws: ``CheckpointError``: missing, io, or malformed with the tensor and the flaw named.
  public init(path: String, shownAs shownPath: String? = nil) throws {
    let file = try MappedFile(path: path)
    let header = try SafetensorsHeader(file: file.bytes, path: shownPath ?? path)
    self.path = shownPath ?? path
    self.file = file
    tensors = header.tensors
    metadata = header.metadata
    dataStart = header.dataStart
    tensorNames = header.tensors.keys.sorted()
  }

  /// The size of the whole file.
  public var byteCount: Int { file.bytes.count }

  /// This file, whatever the tensor.
  public func path(of name: String) -> String { path }

  /// The shape of a tensor, or nil if there is none of that name.
  public func shape(of name: String) -> [Int]? { tensors[name]?.shape }

  /// The type, shape and place of a tensor.
  ///
  /// - Throws: ``CheckpointError`` of kind missing.
  public func info(_ name: String) throws -> TensorInfo {
    guard let info = tensors[name] else { throw CheckpointError(.missing, path: path, "no tensor \(name)") }
    return info
  }

  /// Part of the mapped file, valid as long as this object.
  func bytes(in range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

  /// A tensor's bytes, little-endian and not necessarily aligned, valid inside `body` only.
  public func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try body(bytes(in: info(name).byteRange))
  }

  /// Hands out a tensor's bytes in order, at most ``chunkByteCountMax`` at a time and never part of an element that takes
  /// whole bytes; the memory of each piece is given back after it. Copies and digests of large tensors stay small this way.
  public func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try file.forEachChunk(in: info(name).byteRange, body)
  }

  /// The largest piece ``forEachChunk(of:_:)`` hands out.
  public static var chunkByteCountMax: Int { MappedFile.chunkByteCount }

  /// Checks that a tensor's values can be read as floating-point numbers, by its type alone.
  ///
  /// - Throws: ``CheckpointError``: missing; mismatch, if the type is not F32, F16 or BF16.
  public func requireFloatingPoint(_ name: String) throws {
    let elementType = try info(name).elementType
    guard elementType.isFloatingPoint else {
      throw CheckpointError(
        .mismatch, path: path, "tensor \(name): expected F32, F16 or BF16 values, got \(elementType.rawValue)")
    }
  }

  /// As ``floats(_:rows:requireFinite:)``, whole and with NaN and infinity let through.
  public func floats(_ name: String) throws -> [Float] {
    try floats(name, requireFinite: false)
  }

  /// As ``floats(_:rows:requireFinite:)``, whole and with NaN and infinity refused.
  public func finiteFloats(_ name: String) throws -> [Float] {
    try floats(name, requireFinite: true)
  }

  /// A tensor's values widened to single precision, row-major.
  ///
  /// - Parameters:
  ///   - rows: the slices along the first dimension to read; all by default.
  ///   - requireFinite: refuse NaN and infinity, naming the first one's place.
  /// - Throws: ``CheckpointError``: missing; mismatch, if the type is not F32, F16 or BF16; malformed, if not finite.
  public func floats(_ name: String, rows: Range<Int>? = nil, requireFinite: Bool) throws -> [Float] {
    try requireFloatingPoint(name)
    let info = try info(name)
    let elementType = info.elementType
    let range = try byteRange(of: rows, in: info, name: name)
    let count = range.count / elementType.byteCount
    if count == 0 { return [] }
    var firstNonFinite: Int?
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      file.forEachChunk(in: range) { chunk in
        let piece = UnsafeMutableBufferPointer(
          rebasing: buffer[initialized..<initialized + chunk.count / elementType.byteCount])
        widen(chunk, elementType, into: piece)
        if requireFinite, firstNonFinite == nil, let index = Finite.firstNonFinite(UnsafeBufferPointer(piece)) {
          firstNonFinite = initialized + index
        }
        initialized += piece.count
      }
    }
    if let firstNonFinite {
      let skipped = (range.lowerBound - info.byteRange.lowerBound) / elementType.byteCount
      let place = coordinates(of: skipped + firstNonFinite, in: info.shape)
      throw CheckpointError.notFinite(values[firstNonFinite], at: place, of: name, path: path)
    }
    return values
  }

  private func byteRange(of rows: Range<Int>?, in info: TensorInfo, name: String) throws -> Range<Int> {
    guard let rows else { return info.byteRange }
    guard let rowCount = info.shape.first, rows.lowerBound >= 0, rows.upperBound <= rowCount else {
      throw CheckpointError(.mismatch, path: path, "tensor \(name): expected rows \(rows), got shape \(info.shape)")
    }
    if rows.isEmpty { return info.byteRange.lowerBound..<info.byteRange.lowerBound }
    // The tensor's size is a multiple of its row count, and no row lies outside it: no overflow.
    let rowByteCount = info.byteRange.count / rowCount
    let start = info.byteRange.lowerBound + rows.lowerBound * rowByteCount
    return start..<start + rows.count * rowByteCount
  }

  /// The values of a tensor of any integer type but U64, which `Int` does not hold.
  ///
  /// - Throws: ``CheckpointError``: missing, or mismatch if the elements are of another type.
  public func integers(_ name: String) throws -> [Int] {
    let elementType = try info(name).elementType
    return try withBytes(name) { bytes in
      switch elementType {
      case .int8: loadIntegers(bytes, as: Int8.self)
      case .int16: loadIntegers(bytes, as: Int16.self)
      case .int32: loadIntegers(bytes, as: Int32.self)
      case .int64: loadIntegers(bytes, as: Int64.self)
      case .uint8: loadIntegers(bytes, as: UInt8.self)
      case .uint16: loadIntegers(bytes, as: UInt16.self)
      case .uint32: loadIntegers(bytes, as: UInt32.self)
      default:
        throw CheckpointError(
          .mismatch, path: path, "tensor \(name): expected I8 to I64 or U8 to U32, got \(elementType.rawValue)")
      }
    }
  }
}
