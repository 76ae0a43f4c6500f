import Foundation
import Messaging
import Testing

/// Peers that do not keep to the protocol.
extension LinkTests {
  /// A bare DEALER.
  func stranger(_ endpoint: String, limits: SocketLimits = .control) throws -> ZMQSocket {
    let socket = try ZMQSocket(.dealer, context: there, limits: limits)
    try socket.connect(endpoint)
    return socket
  }

  func receive(_ socket: ZMQSocket) throws -> [[UInt8]] {
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
    let ready = try WorkerMessage.ready(Sample.ready).frames()
    #expect(try stranger.send(ready) == .sent)
    let doomed = try coordinator.await { event -> Peer? in
      if case .message(.ready, let other) = event, other != peer { other } else { nil }
    }
    #expect(try stranger.send([[UInt8](repeating: 0, count: 8 << 20)]) == .sent)
    // What is sent behind it comes through another connection, or is lost with this one: hence again and again.
    let deadline = ContinuousClock.now + patience
    var next: Peer?
    while next == nil, .now < deadline {
      _ = try stranger.send(ready)
      switch coordinator.next(until: .now + .milliseconds(50)) {
      case .message(.ready, let other)? where other != peer: next = other
      case .rejected(.overLimits, _, _)?: Issue.record("the frame came through")
      default: break
      }
    }
    #expect(next != nil && next != doomed)
    try coordinator.send(.assign(Sample.assign), to: peer)
    _ = try worker.awaitMessage(.assign)
    try worker.send(.progress(Sample.progress))
    _ = try coordinator.awaitMessage(.progress)
  }

  @Test func anotherVersionIsToldSo() throws {
    let coordinator = try coordinator()
    let stranger = try stranger(coordinator.endpoint)
    var frames = try WorkerMessage.ready(Sample.ready).frames()
    frames[0][4] = 99
    #expect(try stranger.send(frames) == .sent)
    #expect(try rejection(coordinator) == .otherVersion(99))
    guard case .refuse(let refuse) = try CoordinatorMessage(frames: receive(stranger)) else { throw Missing() }
    #expect(refuse.code == .protocolVersion)
    #expect(refuse.text.contains("version 99"))
  }

  @Test func aWorkerNoticesACoordinatorOfAnotherVersion() throws {
    let socket = try ZMQSocket(.router, context: here, limits: .control)
    let worker = try worker(socket.bind("tcp://127.0.0.1:*"))
    let ready = try receive(socket)
    var frames = try CoordinatorMessage.welcome(welcome).frames()
    frames[0][4] = 99
    #expect(try socket.send([ready[0]] + frames) == .sent)
    let error = try worker.await { event in if case .rejected(let error) = event { error } else { nil } }
    #expect(error == .otherVersion(99))
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
}
