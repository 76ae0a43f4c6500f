import Foundation
import Messaging
import Testing
import Worker

@Suite struct AllocationEndTests {
  private let start = Date(timeIntervalSince1970: 1_000_000)

  private func fit(_ linear: String) -> WireTaskID {
    var task = WireTaskID()
    task.kind = .fit
    task.linear = linear
    return task
  }

  private func takes(_ end: inout AllocationEnd, _ task: WireTaskID, _ now: Date) -> Bool { end.takes(task, at: now) }

  @Test func aTaskIsTakenIfThereIsTimeForTheLongestLikeIt() {
    var end = AllocationEnd(end: start + 1000)
    end.finished(fit("down"), seconds: 400)
    end.finished(fit("down"), seconds: 300)
    end.finished(fit("query"), seconds: 10)
    #expect(takes(&end, fit("down"), start + 400) == true)
    #expect(takes(&end, fit("query"), start + 900) == true)
    // Not seen so far: it may be as long as the longest.
    #expect(takes(&end, fit("up"), start + 600) == false)
    #expect(end.isLeaving)
    // One that was turned down makes the worker leave; it does not come back to it.
    #expect(takes(&end, fit("query"), start + 600) == false)
  }

  @Test func withoutAnyTaskSeenOnlyTheReserveIsKept() {
    var end = AllocationEnd(end: start + 1000)
    #expect(takes(&end, fit("up"), start + 1000 - AllocationEnd.reserve) == true)
    #expect(takes(&end, fit("up"), start + 1001 - AllocationEnd.reserve) == false)
  }

  @Test func runningTasksAreGivenBackBeforeTheEnd() {
    let end = AllocationEnd(end: start + 1000)
    #expect(!end.isOver(at: start + 980))
    #expect(end.isOver(at: start + 990))
    #expect(!end.isLeaving)
  }
}
