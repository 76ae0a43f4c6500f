import Foundation

/// What the environment asks of a run of the tests.
public enum TestRun {
  /// That of `CRVQ_SEED`; nil if it is not set.
  public static let givenSeed: UInt64? = number("CRVQ_SEED")
  /// Of tests with random input: the one given, or another in each run.
  public static let seed: UInt64 = givenSeed ?? .random(in: 0..<1 << 32)
  /// What repeats the run, for messages.
  public static let seedSetting = "CRVQ_SEED=\(seed)"

  /// How many damaged inputs there are to try: as `CRVQ_FUZZ` says, or a million in `scripts/test --full`.
  public static func damagedInputs(usually usual: Int) -> Int { number("CRVQ_FUZZ") ?? (isFull ? 1_000_000 : usual) }

  private static let isFull = !text("CRVQ_FULL").isEmpty

  private static func text(_ variable: String) -> String { ProcessInfo.processInfo.environment[variable] ?? "" }

  private static func number<Number: FixedWidthInteger>(_ variable: String) -> Number? {
    let text = text(variable)
    if text.isEmpty { return nil }
    guard let number = Number(text) else { fatalError("\(variable) is \(text), expected a number") }
    return number
  }
}
