/// How many messages each peer may still send: so many a second, and no more than those of one second at a time.
package struct RequestBudgets {
  /// Requests for chunks. A fetch asks for a megabyte at a time, so the limit is far above what a network carries; what it stops
  /// is a peer that asks for single bytes without end.
  package static let requests = 8192
  /// Control messages. A worker sends a few for each task in hand.
  package static let control = 2048
  /// Peers remembered. Beyond it all start anew.
  private static let peerLimit = 1024

  private struct Budget {
    var left: Double
    var time: ContinuousClock.Instant
  }

  package let perSecond: Int
  private var budgets: [[UInt8]: Budget] = [:]

  package init(perSecond: Int) { self.perSecond = perSecond }

  /// Takes one message from the budget of `peer`.
  ///
  /// - Returns: false if there is none left.
  package mutating func spend(_ peer: [UInt8], at now: ContinuousClock.Instant) -> Bool {
    let limit = Double(perSecond)
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
