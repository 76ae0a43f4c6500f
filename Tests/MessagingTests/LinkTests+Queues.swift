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
    // The last is followed by nothing; on a loaded machine others may follow late.
    while case .undelivered(.assign, let to, .congested)? = coordinator.next(until: .now + .seconds(5)) {
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

  /// Heartbeats, each of which is answered once it is read: the answers tell how many that are.
  @Test func aCoordinatorThatDoesNotDrainReadsNoMoreThanItsEventLimit() throws {
    let (limit, total) = (8, 100)
    let coordinator = try CoordinatorLink(
      binding: "tcp://127.0.0.1:*", context: here, security: .plain, limits: .control, eventLimit: limit,
      messagesPerSecond: 1_000_000)
    let stranger = try stranger(coordinator.endpoint, limits: .controlClient)
    #expect(try stranger.send(WorkerMessage.ready(Sample.ready).frames()) == .sent)
    var heartbeat = Sample.heartbeat
    for index in 0..<total {
      heartbeat.residentBytes = UInt64(index)
      #expect(try stranger.send(WorkerMessage.heartbeat(heartbeat).frames()) == .sent)
    }
    func awaitPulses(_ count: Int) throws {
      for _ in 0..<count { #expect(try CoordinatorMessage(frames: receive(stranger)).kind == .pulse) }
    }
    // Ready and these fill the queue.
    try awaitPulses(limit - 1)
    // Who read on would answer more within this; who does not never will, so that a slow machine changes nothing.
    Thread.sleep(forTimeInterval: 0.3)
    let isReadOn = try stranger.receive() != nil
    #expect(!isReadOn)
    _ = try coordinator.awaitMessage(.ready)
    for index in 0..<total {
      guard case .heartbeat(let got) = try coordinator.awaitMessage(.heartbeat).message else { throw Missing() }
      #expect(got.residentBytes == UInt64(index))
    }
    try awaitPulses(total - (limit - 1))
  }

  @Test func whatWaitsForACoordinatorThatDrainsLateComesInOrder() throws {
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
    // Nobody drains for a while: eight events wait here, the rest on the way and with the sender.
    Thread.sleep(forTimeInterval: 0.2)
    for index in 0..<total {
      progress.lease = UInt64(index)
      // Between what is read: it may fill the queue, and no message is lost for it.
      coordinator.post {}
      #expect(try coordinator.awaitMessage(.progress).message == .progress(progress))
    }
  }
}
