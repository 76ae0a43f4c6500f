import Foundation
import TestSupport

/// Bytes that depend on their position, so that a displaced chunk shows.
func patterned(_ count: Int, seed: UInt64 = 1) -> Data {
  var random = SplitMix(seed: seed)
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
