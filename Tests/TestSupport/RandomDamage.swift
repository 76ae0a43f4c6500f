import Numerics

/// A file's bytes after one to three random changes.
public func damaged(_ original: [UInt8], _ random: inout RandomStream) -> [UInt8] {
  var bytes = original
  for _ in 0...random.index(below: 3) where !bytes.isEmpty {
    let place = random.index(below: bytes.count)
    switch random.index(below: 8) {
    case 0: bytes[place] ^= 1 << UInt8(random.index(below: 8))
    case 1: bytes[place] = UInt8(random.index(below: 256))
    case 2: bytes.removeSubrange(place...)
    case 3: bytes += (0..<random.index(below: 40)).map { _ in UInt8(random.index(below: 256)) }
    case 4: bytes.remove(at: place)
    case 5: bytes.insert(bytes[random.index(below: bytes.count)], at: place)
    case 6:
      // A digit in another's place keeps the syntax and changes the meaning.
      let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
      if !digits.isEmpty { bytes[digits[random.index(below: digits.count)]] = 0x30 + UInt8(random.index(below: 10)) }
    default:
      // A piece of the file once more.
      let end = min(bytes.count, place + random.index(below: 64))
      bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.index(below: bytes.count))
    }
  }
  return bytes
}
