/// The header of a safetensors file, checked as the reference implementation checks it before any data is touched.
///
/// The format (github.com/huggingface/safetensors): eight bytes with the header's length N, little-endian; N bytes of
/// JSON that begin with `{` and may end in spaces; then the data, which the tensors cover without gap or overlap.
struct SafetensorsHeader {
  /// The longest header that is read, as in the reference implementation.
  static let byteCountMax = 100_000_000
  /// The most dimensions a tensor may have.
  static let dimensionCountMax = 32

  /// Where the data begins in the file.
  let dataStart: Int
  private(set) var tensors: [String: TensorInfo] = [:]
  private(set) var metadata: [String: String] = [:]

  /// - Parameters:
  ///   - bytes: the file, or what it begins with up to the data.
  ///   - fileByteCount: the size of the file, where `bytes` is not all of it.
  /// - Throws: ``CheckpointError`` of kind malformed that names `path`, the tensor and what is wrong with it.
  init(file bytes: UnsafeRawBufferPointer, path: String, fileByteCount: Int? = nil) throws {
    func malformed(_ message: String) -> CheckpointError { CheckpointError(.malformed, path: path, message) }
    guard bytes.count >= 8 else {
      throw malformed("expected a safetensors file, got \(bytes.count) bytes: shorter than the header's length field")
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= Self.byteCountMax else {
      if Self.isText(bytes.prefix(64)) {
        throw malformed("expected a safetensors file, got text (an unfetched Git LFS pointer, or a saved web page?)")
      }
      throw malformed("expected a header of at most \(Self.byteCountMax) bytes, got a length of \(length)")
    }
    dataStart = 8 + Int(length)
    guard dataStart <= bytes.count else {
      throw malformed("header of \(length) bytes reaches beyond the file of \(bytes.count) bytes")
    }
    guard length > 0, bytes[8] == UInt8(ascii: "{") else { throw malformed("expected a header that begins with '{'") }

    let header: JSONValue
    do throws(JSONSyntaxError) {
      header = try JSONValue(parsing: UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
    } catch {
      throw malformed("header: \(error)")
    }
    do throws(Flaw) {
      try readEntries(header)
      try requireExactCover(dataByteCount: (fileByteCount ?? bytes.count) - dataStart)
    } catch {
      throw malformed(error.message)
    }
  }

  /// What is wrong, before the file's name is put to it.
  private struct Flaw: Error {
    let message: String

    init(_ message: String) { self.message = message }
  }

  private static func isText(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    // UTF-8 text has no control characters but white space. The slice may cut its last character, so nothing else is asked.
    bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }
  }

  private mutating func readEntries(_ header: JSONValue) throws(Flaw) {
    // Sorted, so that a file with several flaws always names the same one.
    for (name, value) in (header.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      if name == "__metadata__" {
        metadata = try Self.metadata(value)
      } else {
        tensors[name] = try tensor(name, value)
      }
    }
  }

  private static func metadata(_ value: JSONValue) throws(Flaw) -> [String: String] {
    guard let members = value.object else { throw Flaw("__metadata__: expected an object, got \(value.shown)") }
    var metadata: [String: String] = [:]
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      guard let text = value.string else {
        throw Flaw("__metadata__, \(key): expected a string, got \(value.shown)")
      }
      metadata[key] = text
    }
    return metadata
  }

  private func tensor(_ name: String, _ value: JSONValue) throws(Flaw) -> TensorInfo {
    guard let members = value.object else { throw Flaw("tensor \(name): expected an object, got \(value.shown)") }
    let known = ["data_offsets", "dtype", "shape"]
    guard members.keys.sorted() == known else {
      throw Flaw("tensor \(name): expected the keys \(known), got \(members.keys.sorted())")
    }
    guard let code = members["dtype"]?.string, let elementType = ElementType(rawValue: code) else {
      let types = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
      throw Flaw("tensor \(name): unknown dtype \(members["dtype"]?.shown ?? ""); known are \(types)")
    }
    let shape = try sizes("shape", of: name, members["shape"])
    guard shape.count <= Self.dimensionCountMax else {
      throw Flaw("tensor \(name): expected at most \(Self.dimensionCountMax) dimensions, got \(shape.count)")
    }
    let offsets = try sizes("data_offsets", of: name, members["data_offsets"])
    guard offsets.count == 2 else { throw Flaw("tensor \(name): expected two data_offsets, got \(offsets.count)") }
    guard offsets[0] <= offsets[1] else {
      throw Flaw("tensor \(name): data_offsets reversed: \(offsets[0]) to \(offsets[1])")
    }
    guard let byteCount = elementType.byteCount(shape: shape) else {
      throw Flaw("tensor \(name): \(code) of shape \(shape) overflows 64 bits, or does not fill whole bytes")
    }
    guard offsets[1] - offsets[0] == byteCount else {
      throw Flaw(
        "tensor \(name): \(code) of shape \(shape) is \(byteCount) bytes, but data_offsets give \(offsets[1] - offsets[0])"
      )
    }
    let (start, startOverflow) = dataStart.addingReportingOverflow(offsets[0])
    let (end, endOverflow) = dataStart.addingReportingOverflow(offsets[1])
    if startOverflow || endOverflow { throw Flaw("tensor \(name): data_offsets overflow 64 bits") }
    return TensorInfo(elementType: elementType, shape: shape, byteRange: start..<end)
  }

  private func sizes(_ key: String, of name: String, _ value: JSONValue?) throws(Flaw) -> [Int] {
    guard let elements = value?.array else {
      throw Flaw("tensor \(name): expected a list as \(key), got \(value?.shown ?? "nothing")")
    }
    var sizes: [Int] = []
    for element in elements {
      guard let size = element.integer, size >= 0 else {
        throw Flaw("tensor \(name): expected whole numbers from 0 to 2^63 - 1 as \(key), got \(element.shown)")
      }
      sizes.append(size)
    }
    return sizes
  }

  /// Every byte of the data belongs to exactly one tensor.
  private func requireExactCover(dataByteCount: Int) throws(Flaw) {
    let byPosition = tensors.sorted {
      ($0.value.byteRange.lowerBound, $0.value.byteRange.upperBound, $0.key)
        < ($1.value.byteRange.lowerBound, $1.value.byteRange.upperBound, $1.key)
    }
    var covered = dataStart
    var previous = "the header"
    for (name, info) in byPosition {
      if info.byteRange.lowerBound < covered { throw Flaw("tensor \(name): its bytes overlap those of \(previous)") }
      if info.byteRange.lowerBound > covered {
        throw Flaw("\(info.byteRange.lowerBound - covered) bytes between \(previous) and \(name) belong to no tensor")
      }
      covered = info.byteRange.upperBound
      previous = name
    }
    let available = dataStart + dataByteCount
    if covered > available {
      throw Flaw("file cut short: tensor \(previous) ends at byte \(covered), the file at \(available)")
    }
    if covered < available { throw Flaw("\(available - covered) bytes after the last tensor belong to no tensor") }
  }
}
