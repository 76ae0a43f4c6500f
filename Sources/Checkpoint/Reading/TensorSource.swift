import Numerics

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

  /// As ``floats(_:)``, NaN and infinity refused.
  ///
  /// - Throws: ``CheckpointError`` as ``floats(_:)``, or naming the place of the first value that is not finite.
  func finiteFloats(_ name: String) throws -> [Float]

  /// The slices `rows` of a tensor along its first dimension, widened: the embeddings of a few tokens, say.
  ///
  /// - Throws: ``CheckpointError`` as ``floats(_:)``, or if there are no such rows.
  func floats(_ name: String, rows: Range<Int>) throws -> [Float]

  /// The file a tensor is in, or the place it would be looked for, for messages.
  func path(of name: String) -> String
}

extension TensorSource {
  /// For sources that are no files.
  public func path(of name: String) -> String { "model" }

  /// Looks at the values once they are read; sources that look at them on the way do not.
  public func finiteFloats(_ name: String) throws -> [Float] {
    let values = try floats(name)
    try checkFinite(values, of: name)
    return values
  }

  /// - Throws: ``CheckpointError`` naming the place of the first of a tensor's values that is not finite.
  package func checkFinite(_ values: [Float], of name: String) throws {
    guard let index = Finite.firstNonFinite(values) else { return }
    let place = coordinates(of: index, in: shape(of: name) ?? [])
    throw CheckpointError.notFinite(values[index], at: place, of: name, path: path(of: name))
  }

  /// Reads the whole tensor; sources that can read less do.
  public func floats(_ name: String, rows: Range<Int>) throws -> [Float] { try slices(rows, ofWhole: name) }

  /// As ``floats(_:rows:)``, out of the whole tensor.
  package func slices(_ rows: Range<Int>, ofWhole name: String) throws -> [Float] {
    guard let count = shape(of: name)?.first, rows.lowerBound >= 0, rows.upperBound <= count else {
      throw CheckpointError(.mismatch, path: path(of: name), "tensor \(name): no rows \(rows)")
    }
    let values = try floats(name)
    let size = values.count / count
    return Array(values[rows.lowerBound * size..<rows.upperBound * size])
  }

  /// Checks that there is a tensor of this name and shape. Reads no data.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor, its file, the shape expected and the one found.
  package func check(_ name: String, shape expected: [Int]) throws {
    guard let found = shape(of: name) else {
      throw CheckpointError(.missing, path: path(of: name), "no tensor \(name); expected one of shape \(expected)")
    }
    guard found == expected else {
      throw CheckpointError(.mismatch, path: path(of: name), "tensor \(name): expected shape \(expected), got \(found)")
    }
  }

  /// The values of a tensor of this shape, row-major and finite.
  ///
  /// - Throws: ``CheckpointError`` as ``check(_:shape:)`` and ``finiteFloats(_:)``.
  package func finiteFloats(_ name: String, shape: [Int]) throws -> [Float] {
    try check(name, shape: shape)
    return try finiteFloats(name)
  }

  /// A matrix [rows, columns] of finite values.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor, its file, the shape expected and the one found; or the place of a value that
  ///   is not finite.
  public func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
    Matrix(rows: rows, columns: columns, values: try finiteFloats(name, shape: [rows, columns]))
  }
}

/// Tensors as they lie in files, of any type.
public protocol StoredTensorSource: TensorSource {
  /// The type, shape and place of a tensor in its file.
  ///
  /// - Throws: ``CheckpointError`` of kind missing.
  func info(_ name: String) throws -> TensorInfo

  /// A tensor's bytes as they are in the file, valid inside `body` only.
  func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result

  /// Hands out a tensor's bytes in order, at most ``SafetensorsFile/chunkByteCountMax`` at a time and never part of an
  /// element that takes whole bytes, for copies.
  ///
  /// - Throws: ``CheckpointError`` of kind missing; what `body` throws.
  func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws
}

extension StoredTensorSource {
  /// Pieces of the whole; sources that can give back the memory of each piece do.
  public func forEachChunk(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let size = SafetensorsFile.chunkByteCountMax
    try withBytes(name) { bytes in
      for start in stride(from: 0, to: bytes.count, by: size) {
        try body(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + size)]))
      }
    }
  }

  /// Hands out a tensor's values widened, in order, as many rows at a time as make a piece of bounded size.
  ///
  /// - Parameter body: is told the index of the first value.
  /// - Throws: as ``floats(_:rows:)``; what `body` throws.
  func forEachFewRows(of name: String, _ body: (_ first: Int, _ values: [Float]) throws -> Void) throws {
    let shape = try info(name).shape
    if shape.contains(0) { return }
    guard let rows = shape.first else { return try body(0, floats(name)) }
    let columns = shape.dropFirst().reduce(1, *)
    let count = max(1, SafetensorsFile.chunkByteCountMax / (columns * MemoryLayout<Float>.size))
    for row in stride(from: 0, to: rows, by: count) {
      try body(row * columns, floats(name, rows: row..<min(rows, row + count)))
    }
  }

  /// ``forEachFewRows(of:_:)`` of a tensor that binary16 has to hold.
  ///
  /// - Throws: as that does; ``CheckpointError`` of kind mismatch for a number that binary16 has not, with its place.
  package func forEachFewRowsFittingHalf(of name: String, _ body: ([Float]) throws -> Void) throws {
    let shape = try info(name).shape
    try forEachFewRows(of: name) { first, values in
      if let index = values.firstIndex(where: { abs($0) >= Half.overflowThreshold }) {
        throw CheckpointError(
          .mismatch, path: path(of: name),
          "tensor \(name): \(values[index]) at \(coordinates(of: first + index, in: shape)); "
            + "expected what float16 holds, 65504 at most")
      }
      try body(values)
    }
  }

  /// A tensor as it is to be written where it is copied.
  ///
  /// - Throws: ``CheckpointError`` of kind missing.
  public func declaration(_ name: String) throws -> TensorDeclaration {
    let info = try info(name)
    return TensorDeclaration(name: name, elementType: info.elementType, shape: info.shape)
  }
}
