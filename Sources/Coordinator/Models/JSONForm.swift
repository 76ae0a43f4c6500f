import Foundation

/// How this program writes JSON: keys sorted, slashes as they are.
public enum JSONForm {
  /// What becomes of a number that JSON does not have.
  package enum Numbers {
    /// It is an error.
    case finite
    /// It is a string.
    case all
  }

  /// As options and results are kept in a job directory: an object on a line, under the names that they have in Swift.
  package static func record(_ value: some Encodable, numbers: Numbers = .finite) throws -> String {
    String(decoding: try encoder(numbers).encode(value), as: UTF8.self)
  }

  /// Reads a ``record(_:numbers:)`` of the same numbers.
  package static func value<Value: Decodable>(
    _ type: Value.Type = Value.self, ofRecord record: String, numbers: Numbers = .finite
  ) throws -> Value {
    let decoder = JSONDecoder()
    if numbers == .all {
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: infinity, negativeInfinity: minusInfinity, nan: notANumber)
    }
    return try decoder.decode(type, from: Data(record.utf8))
  }

  /// As it is printed for others: an object on a line, snake case, all numbers.
  public static func printed(_ value: some Encodable) throws -> Data {
    let encoder = encoder(.all)
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return try encoder.encode(value) + Data("\n".utf8)
  }

  /// As a report is written: indented, snake case, finite numbers.
  package static func report(_ value: some Encodable) throws -> String {
    let encoder = encoder(.finite)
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting.insert(.prettyPrinted)
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
  }

  private static let (infinity, minusInfinity, notANumber) = ("inf", "-inf", "nan")

  private static func encoder(_ numbers: Numbers) -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if numbers == .all {
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: infinity, negativeInfinity: minusInfinity, nan: notANumber)
    }
    return encoder
  }
}
