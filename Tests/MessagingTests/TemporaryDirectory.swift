import Foundation

/// A directory that goes away with this object.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "/crvq-messaging-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// All names in it, hidden ones too.
  func names(in directory: String = "") -> [String] {
    ((try? FileManager.default.subpathsOfDirectory(atPath: path + "/" + directory)) ?? []).sorted()
  }
}

/// Bytes that depend on their position, so that a displaced chunk shows.
func patterned(_ count: Int, seed: UInt64 = 1) -> Data {
  var random = SplitMix64(state: seed)
  var data = Data(count: count)
  data.withUnsafeMutableBytes { bytes in
    var index = 0
    while index < bytes.count {
      var word = random.next()
      withUnsafeBytes(of: &word) { word in
        let length = min(8, bytes.count - index)
        for lane in 0..<length { bytes[index + lane] = word[lane] }
      }
      index += 8
    }
  }
  return data
}
