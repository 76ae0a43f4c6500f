import Foundation
import Messaging
import Synchronization
import Testing

@Suite struct LinkTests {
  // Two contexts, as in two processes.
  let here: ZMQContext
  let there: ZMQContext

  init() throws {
    here = try ZMQContext()
    there = try ZMQContext()
  }

  func coordinator(_ endpoint: String = "tcp://127.0.0.1:*") throws -> CoordinatorLink {
    try CoordinatorLink(binding: endpoint, context: here)
  }

  func worker(_ endpoint: String, _ adjust: (inout WorkerLink.Clocks) -> Void = { _ in }) throws -> WorkerLink {
    var clocks = WorkerLink.Clocks()
    adjust(&clocks)
    return try WorkerLink(connecting: endpoint, as: Sample.ready, context: there, clocks: clocks)
  }

  var welcome: WireWelcome {
    var welcome = Sample.welcome
    welcome.heartbeatMs = 20
    return welcome
  }

  /// A worker that has been welcomed, and the coordinator's name for its connection.
  func meet(_ coordinator: CoordinatorLink, _ worker: WorkerLink) throws -> Peer {
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

  @Test(.enabled(if: Self.hasIPv6, "this machine has no ::1")) func addressesOfVersion6AreReached() throws {
    let coordinator = try coordinator("tcp://[::1]:*")
    let worker = try worker(coordinator.endpoint)
    _ = try meet(coordinator, worker)
  }

  private static var hasIPv6: Bool {
    (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8))?.hasPrefix("00000000000000000000000000000001")
      ?? false
  }

  @Test func heartbeatsCarryTheHeldTasks() throws {
    let coordinator = try coordinator()
    let worker = try worker(coordinator.endpoint)
    _ = try meet(coordinator, worker)
    worker.hold(Sample.fit, lease: 7)
    worker.hold(Sample.collect, lease: 8)
    worker.progress(Sample.fit, lease: 7, note: "round 3")
    guard case .progress(let progress) = try coordinator.awaitMessage(.progress).message else { throw Missing() }
    #expect(progress.lease == 7 && progress.note == "round 3")
    let full = try coordinator.await { event -> WireHeartbeat? in
      if case .message(.heartbeat(let heartbeat), _) = event, heartbeat.running.count == 2 { heartbeat } else { nil }
    }
    #expect(full.running.map(\.lease) == [7, 8])
    #expect(full.residentBytes > 1 << 20, "this process has at least so much")
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

  @Test(arguments: ["", "+80", "-1", "00", "080", "65536", "8x", "**"]) func portsThatAreNone(port: String) {
    let text = "tcp://127.0.0.1:\(port)"
    let error = #expect(throws: MessagingError.self) { try Endpoint(text) }
    #expect(error?.description.hasPrefix("\(text): port \(port) is neither") == true)
  }

  @Test func localhostIsBoundAsAnAddress() throws {
    let coordinator = try coordinator("tcp://localhost:*")
    #expect(coordinator.endpoint.hasPrefix("tcp://127.0.0.1:"))
    _ = try meet(coordinator, worker(coordinator.endpoint))
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
    coordinator.forget(peer)
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
}
