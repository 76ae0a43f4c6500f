import Messaging
import Testing
import Worker

@Suite struct TaskQueueTests {
  private func assign(_ lease: UInt64) -> WireAssign {
    var assign = WireAssign()
    assign.lease = lease
    return assign
  }

  @Test func tasksAreTakenInOrder() {
    let queue = TaskQueue()
    for lease in UInt64(1)...3 { queue.add(assign(lease)) }
    let leases = (1...3).compactMap { _ in queue.next { _ in TaskControl { _ in } }?.0.lease }
    #expect(leases == [1, 2, 3])
  }

  @Test func aWaitingTaskThatIsCancelledIsNotRun() {
    let queue = TaskQueue()
    queue.add(assign(1))
    queue.add(assign(2))
    #expect(queue.cancel(1) == .waiting)
    #expect(queue.next { _ in TaskControl { _ in } }?.0.lease == 2)
  }

  @Test func cancellingARunningTaskReachesItsControl() throws {
    let queue = TaskQueue()
    queue.add(assign(1))
    let control = queue.next { _ in TaskControl { _ in } }?.1
    #expect(queue.cancel(1) == .running)
    #expect(throws: TaskError.cancelled) { try control?.progress() }
  }

  @Test func resultsAreKeptUntilAcknowledged() {
    let queue = TaskQueue()
    var done = WireTaskDone()
    done.lease = 5
    queue.finish(5, done)
    #expect(queue.unacknowledged.map(\.lease) == [5])
    queue.acknowledge(5)
    #expect(queue.unacknowledged.isEmpty)
  }

  /// It may be on its way to its end when it is cancelled: nobody would acknowledge the result.
  @Test func theResultOfACancelledTaskIsNotKept() {
    let queue = TaskQueue()
    queue.add(assign(5))
    _ = queue.next { _ in TaskControl { _ in } }
    #expect(queue.cancel(5) == .running)
    var done = WireTaskDone()
    done.lease = 5
    queue.finish(5, done)
    #expect(queue.unacknowledged.isEmpty && queue.isIdle)
    #expect(queue.cancel(5) == .nowhere)
  }

  @Test func nothingOfAJobStaysThatIsServedNoMore() {
    let queue = TaskQueue()
    for lease in UInt64(1)...3 { queue.add(assign(lease)) }
    let running = queue.next { _ in TaskControl { _ in } }?.1
    _ = queue.next { _ in TaskControl { _ in } }
    var done = WireTaskDone()
    done.lease = 2
    queue.finish(2, done)
    #expect(queue.drop().sorted() == [2, 3], "what runs is over when it has noticed")
    #expect(throws: TaskError.cancelled) { try running?.progress() }
    queue.finish(1, nil)
    #expect(queue.isIdle)
  }

  @Test func aClosedQueueLetsItsSlotsEnd() {
    let queue = TaskQueue()
    queue.add(assign(1))
    queue.close()
    #expect(queue.next { _ in TaskControl { _ in } } == nil)
  }
}
