/// How many requests each peer may still make: so many a second, and no more than those of one second at a time.
///
/// A fetch asks for chunks of a megabyte, so the limit is far above what a network carries; what it stops is a peer that
/// asks for single bytes without end.
package struct RequestBudgets {
  package static let perSecond = 8192
  /// Peers remembered. Beyond it all start anew.
  private static let peerLimit = 1024

  private struct Budget {
    var left: Double
    var time: ContinuousClock.Instant
  }

  private var budgets: [[UInt8]: Budget] = [:]

  package init() {}

  /// Takes one request from the budget of `peer`.
  ///
  /// - Returns: false if there is none left.
  package mutating func spend(_ peer: [UInt8], at now: ContinuousClock.Instant) -> Bool {
    let limit = Double(Self.perSecond)
    if budgets[peer] == nil, budgets.count >= Self.peerLimit { budgets.removeAll() }
    var budget = budgets[peer] ?? Budget(left: limit, time: now)
    budget.left = min(limit, budget.left + (now - budget.time) / .seconds(1) * limit)
    budget.time = now
    let isLeft = budget.left >= 1
    if isLeft { budget.left -= 1 }
    budgets[peer] = budget
    return isLeft
  }
}
