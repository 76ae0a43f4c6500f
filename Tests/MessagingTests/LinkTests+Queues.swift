import Foundation
import Messaging
import Testing

/// Queues that fill.
extension LinkTests {
  @Test func aWorkerThatDoesNotReadIsCongestedAndNothingIsLostSilently() throws {
    var limits = SocketLimits.control
    limits.sendQueue = 4
    limits.receiveQueue = 4
    let coordinator = try CoordinatorLink(
      binding: "tcp://127.0.0.1:*", context: here, security: .plain, limits: limits)
    let stranger = try stranger(coordinator.endpoint, limits: limits)
    #expect(try stranger.send(WorkerMessage.ready(Sample.ready).frames()) == .sent)
    let peer = try coordinator.awaitMessage(.ready).peer
    // Large messages, so that the kernel's buffers cannot take them all.
    var assign = Sample.assign
    assign.inputs = Array(repeating: assign.inputs[0], count: 4000)
    let total = 400
    for _ in 0..<total { try coordinator.send(.assign(assign), to: peer) }
    var congested = 0
    while case .undelivered(.assign, let to, .congested)? = coordinator.next(until: .now + .seconds(1)) {
      congested += 1
      #expect(to == peer)
    }
    #expect(congested > 0)
    var received = 0
    while received + congested < total {
      #expect(try CoordinatorMessage(frames: receive(stranger)) == .assign(assign))
      received += 1
    }
    #expect(received >= CoordinatorLink.backlogLimit)
  }

  @Test func aCoordinatorThatDoesNotDrainMakesWorkersWait() throws {
    let coordinator = try CoordinatorLink(
      binding: "tcp://127.0.0.1:*", context: here, security: .plain, limits: .control, eventLimit: 8,
      messagesPerSecond: 1_000_000)
    let worker = try worker(coordinator.endpoint)
    _ = try meet(coordinator, worker)
    var progress = Sample.progress
    let total = 3000
    let sender = Thread { [progress] in
      var progress = progress
      for index in 0..<total {
        progress.lease = UInt64(index)
        while (try? worker.send(.progress(progress))) == nil { Thread.sleep(forTimeInterval: 0.001) }
      }
    }
    sender.start()
    // Nobody drains for a while: eight events wait here, the rest with the sender.
    Thread.sleep(forTimeInterval: 0.2)
    for index in 0..<total {
      progress.lease = UInt64(index)
      #expect(try coordinator.awaitMessage(.progress).message == .progress(progress))
    }
  }
}
