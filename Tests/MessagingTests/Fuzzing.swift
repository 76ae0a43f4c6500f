import TestSupport

/// How many damaged inputs a fuzzing test tries, and from which seed.
///
/// A few seconds' worth by default. `CRVQ_FUZZ=10000000` for a long run, `CRVQ_SEED` to repeat one; `scripts/test --full`
/// tries a million.
struct Fuzzing {
  let inputs: Int
  /// What repeats the run, for messages.
  let seed = TestRun.seedSetting
  var random: SplitMix

  /// Prints the seed.
  init(_ test: String) {
    inputs = TestRun.damagedInputs(usually: 20_000)
    random = SplitMix(seed: TestRun.seed)
    print("\(test): \(inputs) inputs, \(seed)")
  }

  /// Damages frames in one of several ways, sometimes not at all.
  mutating func damage(_ frames: inout [[UInt8]]) {
    guard !frames.isEmpty else { return }
    let index = Int.random(in: 0..<frames.count, using: &random)
    switch Int.random(in: 0..<7, using: &random) {
    case 0 where !frames[index].isEmpty:
      frames[index][Int.random(in: 0..<frames[index].count, using: &random)] ^=
        1 << UInt8.random(in: 0..<8, using: &random)
    case 1: frames[index] = Array(frames[index].prefix(Int.random(in: 0...frames[index].count, using: &random)))
    case 2:
      frames[index].insert(
        .random(in: .min ... .max, using: &random), at: Int.random(in: 0...frames[index].count, using: &random))
    case 3: frames[index] += (0..<40).map { _ in .random(in: .min ... .max, using: &random) }
    case 4 where Bool.random(using: &random): frames.remove(at: index)
    case 5 where Bool.random(using: &random): frames.insert(frames[index], at: index)
    // The longest varint there is, over a length or a number: 2^64 - 1.
    case 6 where !frames[index].isEmpty:
      let at = Int.random(in: 0..<frames[index].count, using: &random)
      frames[index].replaceSubrange(at...at, with: [UInt8](repeating: 0xFF, count: 9) + [0x01])
    default: break
    }
  }
}
