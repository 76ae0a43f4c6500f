import Foundation
import Messaging
import Synchronization
import Testing

/// Long enough for a loaded machine; no test waits for it to pass.
private let patience = Duration.seconds(30)

extension CoordinatorLink {
  /// The first event from now on that `pick` makes something of.
  fileprivate func await<Value>(_ pick: (Event) -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + patience
    while let event = next(until: deadline) {
      if let value = pick(event) { return value }
    }
    throw Missing()
  }

  fileprivate func awaitMessage(_ kind: MessageKind) throws -> (message: WorkerMessage, peer: Peer) {
    try self.await { event in
      if case .message(let message, let peer) = event, message.kind == kind { (message, peer) } else { nil }
    }
  }
}

extension WorkerLink {
  fileprivate func await<Value>(_ pick: (Event) -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + patience
    while let event = next(until: deadline) {
      if let value = pick(event) { return value }
    }
    throw Missing()
  }

  fileprivate func awaitMessage(_ kind: MessageKind) throws -> CoordinatorMessage {
    try self.await { event in
      if case .message(let message) = event, message.kind == kind { message } else { nil }
    }
  }
}

private struct Missing: Error {}

@Suite struct LinkTests {
  // Two contexts, as in two processes.
  let here: ZMQContext
  let there: ZMQContext

  init() throws {
    here = try ZMQContext()
    there = try ZMQContext()
  }

  private func coordinator(_ endpoint: String = "tcp://127.0.0.1:*") throws -> CoordinatorLink {
    try CoordinatorLink(binding: endpoint, context: here)
  }

  private func worker(_ endpoint: String, _ adjust: (inout WorkerLink.Clocks) -> Void = { _ in }) throws -> WorkerLink {
    var clocks = WorkerLink.Clocks()
    adjust(&clocks)
    return try WorkerLink(connecting: endpoint, as: Sample.ready, context: there, clocks: clocks)
  }

  private var welcome: WireWelcome {
    var welcome = Sample.welcome
    welcome.heartbeatMs = 20
    return welcome
  }

  /// A worker that has been welcomed, and the coordinator's name for its connection.
  private func meet(_ coordinator: CoordinatorLink, _ worker: WorkerLink) throws -> Peer {
    let peer = try coordinator.awaitMessage(.ready).peer
    try coordinator.send(.welcome(welcome), to: peer)
    _ = try worker.awaitMessage(.welcome)
    return peer
  }

  @Test func everyMessageCrossesBothWays() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    let peer = try meet(coordinator, worker)
    #expect(peer.address == "127.0.0.1")
    for message in Sample.workerMessages where message.kind != .ready && message.kind != .heartbeat {
      try worker.send(message)
      #expect(try coordinator.awaitMessage(message.kind).message == message)
    }
    // Goodbye ended the session; the coordinator's messages still find the connection.
    for message in Sample.coordinatorMessages where message.kind != .pulse && message.kind != .refuse {
      try coordinator.send(message, to: peer)
      #expect(try worker.awaitMessage(message.kind) == message)
    }
  }

  @Test func heartbeatsCarryTheHeldTasks() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    _ = try meet(coordinator, worker)
    worker.hold(Sample.fit, lease: 7)
    worker.hold(Sample.collect, lease: 8)
    worker.progress(Sample.fit, lease: 7, fraction: 0.5, note: "round 3")
    guard case .progress(let progress) = try coordinator.awaitMessage(.progress).message else { throw Missing() }
    #expect(progress.lease == 7 && progress.note == "round 3")
    let full = try coordinator.await { event -> WireHeartbeat? in
      if case .message(.heartbeat(let heartbeat), _) = event, heartbeat.running.count == 2 { heartbeat } else { nil }
    }
    #expect(full.running.map(\.lease) == [7, 8])
    #expect(full.running[0].fraction == 0.5)
    worker.letGo(lease: 7)
    _ = try coordinator.await { event -> WireHeartbeat? in
      if case .message(.heartbeat(let heartbeat), _) = event, heartbeat.running.map(\.lease) == [8] {
        heartbeat
      } else {
        nil
      }
    }
  }

  @Test func aPortInUseIsOneClearLine() throws {
    let first = try coordinator()
    let error = #expect(throws: MessagingError.self) { try coordinator(first.endpoint) }
    #expect(error == .endpointInUse(first.endpoint))
    #expect(error?.description == "\(first.endpoint): address already in use; choose another port, or * for any")
  }

  @Test func endpointsThatAreNoneAreNamed() throws {
    for endpoint in ["127.0.0.1:5000", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "tcp://[::1:5", "udp://127.0.0.1:5", ""]
    {
      let error = #expect(throws: MessagingError.self) { try worker(endpoint) }
      #expect(error?.description.hasPrefix(endpoint + ": ") == true)
    }
    #expect(throws: MessagingError.self) { try coordinator("tcp://203.0.113.7:*") }
    #expect(throws: MessagingError.self) { try coordinator("nonsense") }
  }

  @Test func endpointsAreRead() throws {
    #expect(try Endpoint("tcp://node-7:4000") == Endpoint(host: "node-7", port: 4000))
    #expect(try Endpoint("tcp://*:*").description == "tcp://*:*")
    #expect(try Endpoint("tcp://[::1]:4000").isLoopback)
    #expect(try !Endpoint("tcp://0.0.0.0:4000").isLoopback)
    #expect(try Endpoint("tcp://0.0.0.0:4000").isWildcard)
    #expect(try Endpoint("tcp://0.0.0.0:4000").at(host: "node-7").description == "tcp://node-7:4000")
  }

  @Test func aVanishedPeerIsReported() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    let peer = try meet(coordinator, worker)
    worker.close()
    // The connection's end takes a moment to arrive; until then a send is on its way to nobody.
    var (lost, to): (CoordinatorMessage?, Peer?)
    let deadline = ContinuousClock.now + patience
    while lost == nil, .now < deadline {
      try coordinator.send(.assign(Sample.assign), to: peer)
      if case .undelivered(let message, let vanished, .vanished)? = coordinator.next(until: .now + .milliseconds(50)) {
        (lost, to) = (message, vanished)
      }
    }
    #expect(lost == .assign(Sample.assign))
    #expect(to == peer)
  }

  @Test func aStrangerIsAskedToSayReadyAgain() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    let peer = try meet(coordinator, worker)
    // As if the worker had been given up: the next heartbeat is answered with the request to say Ready.
    try coordinator.forget(peer)
    #expect(try coordinator.awaitMessage(.ready).peer == peer)
    try coordinator.send(.welcome(welcome), to: peer)
    _ = try worker.awaitMessage(.welcome)
  }

  @Test func aWorkerFindsTheSuccessorOfItsCoordinator() throws {
    let first = try coordinator()
    let endpoint = first.endpoint
    let worker = try worker(endpoint) { $0.introduction = .milliseconds(50) }
    _ = try meet(first, worker)
    first.close()
    var successor: CoordinatorLink?
    let deadline = ContinuousClock.now + patience
    while successor == nil, .now < deadline { successor = try? coordinator(endpoint) }
    let second = try #require(successor)
    guard case .ready(let ready) = try second.awaitMessage(.ready).message else { throw Missing() }
    #expect(ready == Sample.ready)
  }

  @Test func aSilentCoordinatorIsReported() throws {
    // Listens, and never says anything.
    let socket = try ZMQSocket(.router, context: here, limits: .control)
    let worker = try worker(socket.bind("tcp://127.0.0.1:*")) { $0.silence = .milliseconds(50) }
    let silence = try worker.await { event in if case .silent(let duration) = event { duration } else { nil } }
    #expect(silence >= .milliseconds(50))
    // And again, on a new connection.
    _ = try worker.await { event in if case .silent = event { true } else { nil } }
  }

  @Test func postedWorkRunsWhereTheEventsAre() throws {
    let coordinator = try coordinator()
    let ran = Mutex(0)
    Thread { coordinator.post { ran.withLock { $0 += 1 } } }.start()
    try coordinator.await { event in if case .posted(let work) = event { work() } else { nil } }
    #expect(ran.withLock { $0 } == 1)
    #expect(coordinator.next(until: .now + .milliseconds(10)) == nil)
    coordinator.close()
    #expect(coordinator.next(until: nil) == nil)
    #expect(throws: MessagingError.closed) {
      try coordinator.send(.pulse(WirePulse()), to: Peer(routingID: [1], address: ""))
    }
  }

  @Test func aMessageNoOneWouldTakeIsRefusedAtTheSender() throws {
    let coordinator = try coordinator()
    var assign = Sample.assign
    assign.leaseMs = 0
    #expect(throws: MessagingError.unsendable(.invalid(.assign, field: "lease_ms", reason: "is 0"))) {
      try coordinator.send(.assign(assign), to: Peer(routingID: [1], address: ""))
    }
  }

  // MARK: Peers that do not keep to the protocol

  /// A bare DEALER.
  private func stranger(_ endpoint: String, limits: SocketLimits = .control) throws -> ZMQSocket {
    let socket = try ZMQSocket(.dealer, context: there, limits: limits)
    try socket.connect(endpoint)
    return socket
  }

  private func receive(_ socket: ZMQSocket) throws -> [[UInt8]] {
    let deadline = ContinuousClock.now + patience
    while .now < deadline {
      if case .message(let frames)? = try socket.receive() { return frames.map(\.bytes) }
      Thread.sleep(forTimeInterval: 0.005)
    }
    throw Missing()
  }

  private func rejection(_ coordinator: CoordinatorLink) throws -> ProtocolError {
    try coordinator.await { event in if case .rejected(let error, _, _) = event { error } else { nil } }
  }

  @Test func garbageIsRejectedAndTheRestGoesOn() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    let ready = try WorkerMessage.ready(Sample.ready).frames()
    for (frames, error) in [
      ([[UInt8]("hello".utf8)], ProtocolError.foreign),
      ([[], []], .foreign),
      ([ready[0], [0xFF]], .malformed(.ready)),
      ([ready[0]], .frameCount(expected: 2, got: 1)),
    ] {
      // A connection's first rejection and every power of two are reported, hence a new one each.
      let other = try self.stranger(coordinator.endpoint)
      #expect(try other.send(frames) == .sent)
      #expect(try rejection(coordinator) == error)
    }
    #expect(try stranger.send(ready) == .sent)
    #expect(try coordinator.awaitMessage(.ready).message == .ready(Sample.ready))
  }

  @Test func rejectionsAreReportedEverMoreRarely() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    for _ in 0..<100 { #expect(try stranger.send([[1, 2, 3]]) == .sent) }
    #expect(try stranger.send(WorkerMessage.ready(Sample.ready).frames()) == .sent)
    var counts: [Int] = []
    _ = try coordinator.await { event -> Bool? in
      switch event {
      case .rejected(_, _, let count):
        counts.append(count)
        return nil
      default: return true
      }
    }
    #expect(counts == [1, 2, 4, 8, 16, 32, 64])
  }

  @Test func tooManyFramesAreDropped() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    #expect(try stranger.send([[UInt8]](repeating: [1, 2], count: 5000)) == .sent)
    #expect(try rejection(coordinator) == .overLimits(frames: 5000, bytes: 10_000))
    #expect(try stranger.send(WorkerMessage.ready(Sample.ready).frames()) == .sent)
    _ = try coordinator.awaitMessage(.ready)
  }

  @Test func tooManyBytesAreDropped() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    let frame = [UInt8](repeating: 0, count: Envelope.payloadLimit)
    #expect(try stranger.send([frame, frame, frame]) == .sent)
    #expect(try rejection(coordinator) == .overLimits(frames: 3, bytes: 3 * Envelope.payloadLimit))
  }

  /// libzmq ends the connection of a peer that sends a frame over the limit; the coordinator never sees the frame.
  @Test func aHugeFrameEndsItsConnectionOnly() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    let peer = try meet(coordinator, worker)
    let stranger = try stranger(coordinator.endpoint)
    #expect(try stranger.send([[UInt8](repeating: 0, count: 8 << 20)]) == .sent)
    try coordinator.send(.assign(Sample.assign), to: peer)
    _ = try worker.awaitMessage(.assign)
    try worker.send(.progress(Sample.progress))
    _ = try coordinator.awaitMessage(.progress)
  }

  @Test func anotherVersionIsToldSo() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    var frames = try WorkerMessage.ready(Sample.ready).frames()
    frames[0][4] = 9
    #expect(try stranger.send(frames) == .sent)
    #expect(try rejection(coordinator) == .otherVersion(9))
    guard case .refuse(let refuse) = try CoordinatorMessage(frames: receive(stranger)) else { throw Missing() }
    #expect(refuse.code == .protocolVersion)
    #expect(refuse.text.contains("version 9"))
  }

  @Test func aWorkerNoticesACoordinatorOfAnotherVersion() throws {
    let socket = try ZMQSocket(.router, context: here, limits: .control)
    let worker = try worker(socket.bind("tcp://127.0.0.1:*"))
    let ready = try receive(socket)
    var frames = try CoordinatorMessage.welcome(welcome).frames()
    frames[0][4] = 9
    #expect(try socket.send([ready[0]] + frames) == .sent)
    let error = try worker.await { event in if case .rejected(let error) = event { error } else { nil } }
    #expect(error == .otherVersion(9))
  }

  @Test func aReplayedMessageComesTwice() throws {
    // The codec and the link keep no history: leases tell a result from its replay.
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    let done = WorkerMessage.taskDone(Sample.done(Sample.fit, .fit(Sample.fitResult)))
    for message in [.ready(Sample.ready), done, done] { #expect(try stranger.send(message.frames()) == .sent) }
    #expect(try coordinator.awaitMessage(.taskDone).message == done)
    #expect(try coordinator.awaitMessage(.taskDone).message == done)
  }

  @Test func nothingComesThroughBeforeReady() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    #expect(try stranger.send(WorkerMessage.progress(Sample.progress).frames()) == .sent)
    guard case .refuse(let refuse) = try CoordinatorMessage(frames: receive(stranger)) else { throw Missing() }
    #expect(refuse.code == .introduceYourself)
    #expect(coordinator.next(until: .now + .milliseconds(20)) == nil)
  }

  // MARK: Queues that fill

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
