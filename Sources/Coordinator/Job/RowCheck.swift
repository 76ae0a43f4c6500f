import Messaging

/// The start of a SHA-256 over a row's values, stored with them: a flipped bit in one of them is found when the row is read.
enum RowCheck {
  private static let length = 16

  /// - Parameter values: as they are stored; nil for NULL.
  static func of(_ values: [(any CustomStringConvertible)?]) -> String {
    // The length in front keeps values apart.
    let text = values.map { value in
      let text = value?.description
      return text.map { "\($0.utf8.count):\($0)" } ?? "-"
    }
    return String(Digest.of(Array(text.joined(separator: ",").utf8)).hex.prefix(length))
  }
}
