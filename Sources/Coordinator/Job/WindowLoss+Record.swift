import Foundation
import Transformer

/// What an evaluation reports, as kept in the job's database: to the last bit, and also where it is not a number.
extension WindowLoss {
  private static let (infinity, minusInfinity, notANumber) = ("inf", "-inf", "nan")

  package func record() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: Self.infinity, negativeInfinity: Self.minusInfinity, nan: Self.notANumber)
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  package init(record: String) throws {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: Self.infinity, negativeInfinity: Self.minusInfinity, nan: Self.notANumber)
    self = try decoder.decode(Self.self, from: Data(record.utf8))
  }
}
