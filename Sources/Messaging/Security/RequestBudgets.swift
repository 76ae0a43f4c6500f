/// How many messages each peer may still send: so many a second, and no more than those of one second at a time.
package struct RequestBudgets {
  /// Requests for chunks. A fetch asks for a megabyte at a time, so the limit is far above what a network carries; what it stops
  /// is a peer that asks for single bytes without end.
  package static let requests = 8192
  /// Control messages. A worker sends a few for each task in hand.
  package static let control = 2048
  /// Peers remembered before those are looked for that need not be.
  private static let peersMin = 1024

  private struct Budget {
    var left: Double
    var time: ContinuousClock.Instant
  }

  package let perSecond: Int
  private var budgets: [[UInt8]: Budget] = [:]
  /// How many are remembered when it is looked again.
  private var peersMax = RequestBudgets.peersMin

  package init(perSecond: Int) { self.perSecond = perSecond }

  /// Takes one message from the budget of `peer`.
  ///
  /// - Returns: false if there is none left.
  package mutating func spend(_ peer: [UInt8], at now: ContinuousClock.Instant) -> Bool {
    if budgets[peer] == nil, budgets.count >= peersMax { forgetRested(at: now) }
    var budget = budgets[peer] ?? Budget(left: Double(perSecond), time: now)
    budget.left = left(of: budget, at: now)
    budget.time = now
    let isLeft = budget.left >= 1
    if isLeft { budget.left -= 1 }
    budgets[peer] = budget
    return isLeft
  }

  private func left(of budget: Budget, at now: ContinuousClock.Instant) -> Double {
    min(Double(perSecond), budget.left + (now - budget.time) / .seconds(1) * Double(perSecond))
  }

  /// Whoever has its whole budget again is as good as a stranger.
  private mutating func forgetRested(at now: ContinuousClock.Instant) {
    budgets = budgets.filter { left(of: $0.value, at: now) < Double(perSecond) }
    peersMax = max(Self.peersMin, 2 * budgets.count)
  }
}
