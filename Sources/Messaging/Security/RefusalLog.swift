/// Decides which refusals are worth a line: the first of an address for a reason, and then one an hour with their number.
///
/// Whoever knocks all day, from however many addresses, writes at most ``limit`` lines an hour.
package struct RefusalLog {
  private struct Key: Hashable {
    let address: String
    let reason: String
  }

  private struct Entry {
    var logged: ContinuousClock.Instant
    /// Refusals since then.
    var unlogged = 0
  }

  /// Addresses and reasons remembered at once; others wait until one of these is an hour old.
  package static let limit = 1024
  package static let quiet = Duration.seconds(3600)

  /// Between two looks for entries that are old.
  private static let pause = Duration.seconds(60)

  private var entries: [Key: Entry] = [:]
  private var forgotten: ContinuousClock.Instant?

  package init() {}

  /// Notes a refusal.
  ///
  /// - Parameter kind: what refusals of one sort have in common; the text of each may differ.
  /// - Returns: how many refusals a line now stands for; nil if there is to be none.
  package mutating func note(_ address: String, _ kind: String, at now: ContinuousClock.Instant) -> Int? {
    let key = Key(address: address, reason: kind)
    if var entry = entries[key] {
      entry.unlogged += 1
      let count = entry.unlogged
      let isDue = now - entry.logged >= Self.quiet
      entries[key] = isDue ? Entry(logged: now) : entry
      return isDue ? count : nil
    }
    if entries.count >= Self.limit { forget(at: now) }
    if entries.count >= Self.limit { return nil }
    entries[key] = Entry(logged: now)
    return 1
  }

  /// Makes room, if there is any to be made; seldom, so that a flood of addresses costs nothing.
  private mutating func forget(at now: ContinuousClock.Instant) {
    if let forgotten, now - forgotten < Self.pause { return }
    forgotten = now
    entries = entries.filter { now - $0.value.logged < Self.quiet }
  }
}
