import Foundation

/// A reproducible stream of random numbers: the same key gives the same values on every machine.
///
/// xoshiro256** (Blackman and Vigna, 2018) seeded by SplitMix64. A stream is named by the things its values may depend
/// on (seed, block, linear, purpose), so that work may be done anywhere and in any order.
public struct RandomStream: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// A stream for `seed`, told apart from others of the same seed by `key`.
  public init(seed: UInt64, key: String = "") {
    // FNV-1a over the key's bytes: stable across runs, unlike Swift's own hashing.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    var mix = seed ^ hash
    func next() -> UInt64 {
      mix &+= 0x9e37_79b9_7f4a_7c15
      var z = mix
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
    state = (next(), next(), next(), next())
  }

  public mutating func next() -> UInt64 {
    func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
    let result = rotate(state.1 &* 5, 7) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = rotate(state.3, 45)
    return result
  }

  /// A value in [0, 1), 24 random bits.
  public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// A value of the standard normal distribution (Box and Muller).
  public mutating func normal() -> Float {
    let radius = (-2 * log(1 - Double(uniform()))).squareRoot()
    return Float(radius * cos(2 * Double.pi * Double(uniform())))
  }

  /// An index in `0..<bound`. The bias is below bound / 2⁶⁴.
  public mutating func index(below bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

  /// The elements in a random order (Fisher and Yates).
  public mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
    var result = elements
    for position in result.indices.dropFirst().reversed() { result.swapAt(position, index(below: position + 1)) }
    return result
  }

  /// At most `wanted` of the indices below `count`, in order; each is as likely as any other.
  public mutating func sample(_ wanted: Int, of count: Int) -> [Int] {
    if count <= wanted { return Array(0..<count) }
    var remaining = wanted
    // Selection sampling (Knuth, algorithm S).
    return (0..<count).filter { i in
      let taken = index(below: count - i) < remaining
      if taken { remaining -= 1 }
      return taken
    }
  }
}
