import Foundation

/// A JSON document that loses nothing: numbers stay as they were written, and a name given twice is an error.
///
/// Foundation's decoders keep the last of two equal names and turn `1.0` into `1`. The first would let a safetensors
/// header describe one tensor twice, the second would change a configuration that is only passed on.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The literal as it was written, which the JSON grammar accepts.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// The JSON form of a value, as `JSONEncoder` writes it.
  public init(encoding value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try self.init(parsing: encoder.encode(value))
  }

  /// Decodes a value of type `T`, as `JSONDecoder` reads it.
  public func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T {
    try JSONDecoder().decode(type, from: Data(text(indented: false).utf8))
  }

  /// The member of an object, or nil if this is no object or has no such member.
  public subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  /// The value of a number written without fraction and exponent, if it fits.
  public var integer: Int? {
    guard case .number(let literal) = self else { return nil }
    return Int(literal)
  }

  /// The value of a number, if it is finite in double precision.
  public var double: Double? {
    guard case .number(let literal) = self, let value = Double(literal), value.isFinite else { return nil }
    return value
  }

  /// The text of a string.
  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  /// True or false.
  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  /// The elements of an array.
  public var array: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// The members of an object.
  public var object: [String: JSONValue]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// How an error message shows this value: short, on one line.
  var shown: String {
    let text = text(indented: false)
    return text.count <= 60 ? text : text.prefix(57) + "..."
  }
}
