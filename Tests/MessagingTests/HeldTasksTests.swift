import Messaging
import Testing

@Suite struct HeldTasksTests {
  @Test func progressOfATaskIsSentTenTimesASecond() {
    let held = HeldTasks()
    held.hold(Sample.fit, 7)
    let start = ContinuousClock.now
    func isDue(_ milliseconds: Int) -> Bool { held.isDue(7, at: start + .milliseconds(milliseconds)) }
    #expect([0, 50, 99, 100, 150, 200].filter(isDue) == [0, 100, 200])
  }

  /// Tasks that all say something every 50 milliseconds; half of the budget stays for heartbeats and results.
  @Test(arguments: [1, 50, 205, 1024]) func progressOfManyTasksStaysWithinTheBudget(count: Int) {
    let held = HeldTasks()
    let leases = 1...UInt64(count)
    for lease in leases { held.hold(Sample.fit, lease) }
    var budget = RequestBudgets(perSecond: RequestBudgets.control / 2)
    let start = ContinuousClock.now
    var sent: [UInt64: Int] = [:]
    for step in 0..<100 {
      let now = start + .milliseconds(50 * step)
      for lease in leases where held.isDue(lease, at: now) {
        sent[lease, default: 0] += 1
        let isRead = budget.spend([1], at: now)
        #expect(isRead)
      }
    }
    // In five seconds: each again and again, far within its lease.
    #expect(leases.allSatisfy { sent[$0, default: 0] >= 3 })
  }

  @Test func whatIsLetGoIsNoLongerHeldBack() {
    let held = HeldTasks()
    held.hold(Sample.fit, 7)
    let now = ContinuousClock.now
    #expect(held.isDue(7, at: now))
    #expect(!held.isDue(7, at: now))
    held.letGo(7)
    #expect(held.isDue(7, at: now))
  }
}
