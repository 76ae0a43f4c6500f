/// Where and why a text is not JSON.
public struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The byte the parser stopped at.
  public let offset: Int
  /// What was expected there, and what is.
  public let message: String

  /// Message and place.
  public var description: String { "\(message) at byte \(offset)" }
}

extension JSONValue {
  /// Parses one JSON document (RFC 8259): valid UTF-8, nothing but white space around it, no name twice in an object,
  /// at most ``maxDepth`` levels deep.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(JSONSyntaxError) {
    self = try bytes.withMemoryRebound(to: UInt8.self) { bytes throws(JSONSyntaxError) in
      do throws(UTF8.ValidationError) {
        _ = try UTF8Span(validating: bytes.span)
      } catch {
        throw JSONSyntaxError(offset: error.byteOffsets.lowerBound, message: "invalid UTF-8")
      }
      var parser = JSONParser(bytes: bytes)
      return try parser.document()
    }
  }

  /// As `init(parsing:)` for bytes held in an array, `Data` or a string's UTF-8 view.
  public init(parsing bytes: some Sequence<UInt8>) throws(JSONSyntaxError) {
    let array = ContiguousArray(bytes)
    self = try array.withUnsafeBufferPointer { bytes throws(JSONSyntaxError) in
      try JSONValue(parsing: UnsafeRawBufferPointer(bytes))
    }
  }

  /// The deepest nesting of arrays and objects that is read.
  public static let maxDepth = 64
}

/// Recursive descent over UTF-8 that has been validated.
private struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  var position = 0

  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func failure(_ message: String) -> JSONSyntaxError { JSONSyntaxError(offset: position, message: message) }

  private func unexpected(_ expected: String) -> JSONSyntaxError {
    guard let next else { return failure("expected \(expected), got the end") }
    let isPrintable = (0x20..<0x7f).contains(next)
    return failure("expected \(expected), got \(isPrintable ? "'\(UnicodeScalar(next))'" : "byte \(next)")")
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    if next != byte { return false }
    position += 1
    return true
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private mutating func skipWhitespace() {
    while let next, next == 0x20 || next == 0x09 || next == 0x0a || next == 0x0d { position += 1 }
  }

  mutating func document() throws(JSONSyntaxError) -> JSONValue {
    let result = try value(depth: 0)
    skipWhitespace()
    if next != nil { throw unexpected("the end") }
    return result
  }

  private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    skipWhitespace()
    switch next {
    case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case let byte? where byte == UInt8(ascii: "-") || JSONParser.isDigit(byte): return .number(try number())
    default: throw unexpected("a value")
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    for index in 0..<word.utf8CodeUnitCount where !take(word.utf8Start[index]) { throw unexpected("\(word)") }
    return value
  }

  private mutating func object(depth: Int) throws(JSONSyntaxError) -> [String: JSONValue] {
    var members: [String: JSONValue] = [:]
    try list(closedBy: UInt8(ascii: "}"), depth: depth) { parser throws(JSONSyntaxError) in
      parser.skipWhitespace()
      let start = parser.position
      let name = try parser.string()
      parser.skipWhitespace()
      guard parser.take(UInt8(ascii: ":")) else { throw parser.unexpected("':'") }
      // Swift compares strings by canonical equivalence, so two spellings of one accented name count as equal too.
      if members.updateValue(try parser.value(depth: depth), forKey: name) != nil {
        throw JSONSyntaxError(offset: start, message: "duplicate name \(JSONValue.quoted(name))")
      }
    }
    return members
  }

  private mutating func array(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
    var elements: [JSONValue] = []
    try list(closedBy: UInt8(ascii: "]"), depth: depth) { parser throws(JSONSyntaxError) in
      elements.append(try parser.value(depth: depth))
    }
    return elements
  }

  private mutating func list(
    closedBy close: UInt8, depth: Int, _ element: (inout JSONParser) throws(JSONSyntaxError) -> Void
  ) throws(JSONSyntaxError) {
    if depth > JSONValue.maxDepth { throw failure("nested deeper than \(JSONValue.maxDepth) levels") }
    position += 1
    skipWhitespace()
    if take(close) { return }
    while true {
      try element(&self)
      skipWhitespace()
      if take(close) { return }
      guard take(UInt8(ascii: ",")) else { throw unexpected("',' or '\(UnicodeScalar(close))'") }
    }
  }

  private mutating func number() throws(JSONSyntaxError) -> String {
    let start = position
    _ = take(UInt8(ascii: "-"))
    // A leading zero stands alone: what follows it is then no digit of this number.
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) { try digits() }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() throws(JSONSyntaxError) {
    let start = position
    while let next, Self.isDigit(next) { position += 1 }
    if position == start { throw unexpected("a digit") }
  }

  private mutating func string() throws(JSONSyntaxError) -> String {
    guard take(UInt8(ascii: "\"")) else { throw unexpected("a string") }
    var result = ""
    var start = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        // Both are ASCII, so the piece between them is whole in UTF-8.
        result += String(decoding: bytes[start..<position], as: UTF8.self)
        position += 1
        if byte == UInt8(ascii: "\"") { return result }
        result.unicodeScalars.append(try escape())
        start = position
      case 0..<0x20: throw unexpected("no control character in a string")
      default: position += 1
      }
    }
    throw unexpected("'\"'")
  }

  private mutating func escape() throws(JSONSyntaxError) -> UnicodeScalar {
    guard let byte = next else { throw unexpected("an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try escapedScalar()
    default:
      position -= 1
      throw unexpected("an escape")
    }
  }

  /// The scalar of `\uXXXX`, or of two of them that form a surrogate pair (RFC 8259, section 7).
  private mutating func escapedScalar() throws(JSONSyntaxError) -> UnicodeScalar {
    let first = try hexQuad()
    if let scalar = UnicodeScalar(first) { return scalar }
    guard (0xd800..<0xdc00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
      throw failure("unpaired surrogate")
    }
    let second = try hexQuad()
    guard (0xdc00..<0xe000).contains(second),
      let scalar = UnicodeScalar(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    else { throw failure("unpaired surrogate") }
    return scalar
  }

  private mutating func hexQuad() throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let next, let digit = Character(UnicodeScalar(next)).hexDigitValue, next < 0x80 else {
        throw unexpected("a hexadecimal digit")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
