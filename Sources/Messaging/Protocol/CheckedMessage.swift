import Foundation
import SwiftProtobuf

/// A field of a received message that no correct peer sends.
struct FieldFault: Error {
  var field: String
  var reason: String
}

/// A payload that knows which values its fields may have. Checked before sending and after receiving, so that code behind
/// the codec can rely on digests of 32 bytes, known enum values, present sub-messages and bounded lists.
protocol CheckedMessage: SwiftProtobuf.Message {
  func check() throws(FieldFault)
}

/// Named bounds of everything of variable length on the wire.
package enum WireLimit {
  /// Bytes of a name of a worker, host, linear, artifact, core or version.
  package static let name = 256
  /// Bytes of a path.
  static let path = 4096
  /// Bytes of a reason, note or error message. Longer ones are cut by their sender: ``Swift/String/cut(to:)``.
  static let text = 4096
  /// Bytes of an endpoint.
  package static let endpoint = 256
  static let workerID = 16
  static let digest = 32
  /// Bytes of an artifact. Sums over the inputs of a task stay far from overflow.
  static let artifactBytes = UInt64(1) << 40
  /// Tokens of a window.
  static let windowTokens = UInt64(1) << 32
  static let holders = 64
  static let inputs = 4096
  static let outputs = 1024
  static let runningTasks = 1024
  static let passes = 1024
  static let shards = 16_384
  static let digestsReleased = 16_384
  package static let codebooks = 8
  static let linears = 4096
}

extension String {
  /// The longest prefix of whole characters within `limit` bytes of UTF-8, for texts that go on the wire.
  package func cut(to limit: Int = 4096) -> String {
    if utf8.count <= limit { return self }
    var end = startIndex
    var bytes = 0
    while end < endIndex {
      let next = index(after: end)
      bytes += self[end..<next].utf8.count
      if bytes > limit { break }
      end = next
    }
    return String(self[..<end])
  }
}

func checkText(_ text: String, _ field: String, limit: Int) throws(FieldFault) {
  if text.utf8.count > limit {
    throw FieldFault(field: field, reason: "has \(text.utf8.count) bytes, more than \(limit)")
  }
}

func checkName(_ text: String, _ field: String, limit: Int = WireLimit.name) throws(FieldFault) {
  if text.isEmpty { throw FieldFault(field: field, reason: "is empty") }
  try checkText(text, field, limit: limit)
}

func checkBytes(_ bytes: Data, _ field: String, count: Int) throws(FieldFault) {
  if bytes.count != count {
    throw FieldFault(field: field, reason: "has \(bytes.count) bytes, expected \(count)")
  }
}

func checkCount(_ count: Int, _ field: String, limit: Int) throws(FieldFault) {
  if count > limit { throw FieldFault(field: field, reason: "has \(count) entries, more than \(limit)") }
}

func checkLease(_ lease: UInt64) throws(FieldFault) {
  // As large as the coordinator's books can hold; none of its leases is beyond.
  if lease > UInt64(Int64.max) {
    throw FieldFault(field: "lease", reason: "is \(lease), expected at most \(Int64.max)")
  }
}

func checkFraction(_ value: Double, _ field: String) throws(FieldFault) {
  // Written so that NaN fails.
  if !(value >= 0 && value <= 1) { throw FieldFault(field: field, reason: "is \(value), expected 0 to 1") }
}

func checkPresent(_ isPresent: Bool, _ field: String) throws(FieldFault) {
  if !isPresent { throw FieldFault(field: field, reason: "is missing") }
}

/// Checks a sub-message and puts the field's name in front of what it says.
func checkNested(_ message: some CheckedMessage, _ field: String) throws(FieldFault) {
  do { try message.check() } catch { throw FieldFault(field: "\(field).\(error.field)", reason: error.reason) }
}

func checkEach(_ messages: [some CheckedMessage], _ field: String, limit: Int) throws(FieldFault) {
  try checkCount(messages.count, field, limit: limit)
  for (index, message) in messages.enumerated() { try checkNested(message, "\(field)[\(index)]") }
}
