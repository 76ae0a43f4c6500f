import Messaging
import Testing

@Suite struct RefusalTests {
  /// The macro cannot call what changes a value.
  private func expect(_ expected: Int?, _ count: Int?, at location: SourceLocation = #_sourceLocation) {
    #expect(count == expected, sourceLocation: location)
  }

  @Test func eachAddressAndReasonHasOneLineAnHour() {
    var log = RefusalLog()
    let start = ContinuousClock.now
    expect(1, log.note("10.0.0.1", "no key", at: start))
    for second in 1..<3600 { expect(nil, log.note("10.0.0.1", "no key", at: start + .seconds(second))) }
    expect(1, log.note("10.0.0.2", "no key", at: start))
    expect(1, log.note("10.0.0.1", "wrong key", at: start))
    expect(3600, log.note("10.0.0.1", "no key", at: start + .seconds(3600)))
    expect(nil, log.note("10.0.0.1", "no key", at: start + .seconds(3601)))
  }

  @Test func manyAddressesDoNotFillTheLog() {
    var log = RefusalLog()
    let start = ContinuousClock.now
    let lines = (0..<100_000).filter { log.note("\($0)", "no key", at: start + .milliseconds($0)) != nil }
    #expect(lines.count == RefusalLog.limit)
    // An hour later there is room again.
    expect(1, log.note("late", "no key", at: start + .seconds(3700)))
  }

  @Test func aPeerMayAskSoOftenASecond() {
    var budgets = RequestBudgets(perSecond: RequestBudgets.requests)
    let start = ContinuousClock.now
    let granted = (0..<20_000).filter { _ in budgets.spend([1], at: start) }
    #expect(granted.count == RequestBudgets.requests)
    // Others are not concerned, and half a second gives half the budget.
    let isGranted = budgets.spend([2], at: start)
    #expect(isGranted)
    let later = (0..<20_000).filter { _ in budgets.spend([1], at: start + .milliseconds(500)) }
    #expect(later.count == RequestBudgets.requests / 2)
  }

  @Test func aPeerThatHasSpentItsBudgetIsNotForgottenForOthers() {
    var budgets = RequestBudgets(perSecond: 10)
    let start = ContinuousClock.now
    for _ in 0..<10 { _ = budgets.spend([1], at: start) }
    for other in 0..<10_000 {
      let name = withUnsafeBytes(of: other, Array.init)
      _ = budgets.spend(name, at: start)
    }
    let isGranted = budgets.spend([1], at: start)
    #expect(!isGranted)
  }
}
