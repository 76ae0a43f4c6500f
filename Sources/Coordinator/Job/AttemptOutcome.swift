/// How an attempt at a task ended.
package enum AttemptOutcome: String, Sendable, CaseIterable {
  case done
  case failed
  case cancelled
  /// Its worker was.
  case lost
  /// Its coordinator ended before it did.
  case abandoned

  /// Reads an ``account(reason:)``; nil if it is of no outcome that this version knows.
  package init?(account: String) { self.init(rawValue: String(account.prefix { $0 != ":" })) }

  /// As the history has it: "done", "failed: out of memory".
  package func account(reason: String?) -> String { reason.map { "\(rawValue): \($0)" } ?? rawValue }
}
