import Foundation
import Messaging
import Testing

/// Clients that ask for what there is not, do not keep to the protocol, or do not read.
extension TransferTests {
  private func exchange(_ socket: ZMQSocket, _ frames: [[UInt8]]) throws -> ArtifactMessage {
    #expect(try socket.send(frames) == .sent)
    let deadline = ContinuousClock.now + .seconds(30)
    while .now < deadline {
      if case .message(let frames)? = try socket.receive() {
        return try ArtifactMessage(
          header: frames[0].bytes, payload: frames[1].bytes, dataLengths: frames.dropFirst(2).map(\.count))
      }
      Thread.sleep(forTimeInterval: 0.002)
    }
    throw Unexpected(error: "no answer")
  }

  @Test func rangesBeyondTheEndAndGarbageAreRefused() throws {
    let artifact = try source.put(patterned(1000))
    let socket = try ZMQSocket(.dealer, context: there, limits: .artifactClient)
    try socket.connect(server.endpoint)
    for frames in [[[UInt8]()], [[1, 2, 3], [4]], Array(repeating: [UInt8](repeating: 7, count: 9), count: 40)] {
      #expect(try socket.send(frames) == .sent)
    }
    for (offset, length) in [
      (0, 1001), (1000, 1), (999, 2), (1 << 62, 1), (1 << 63, 1), (1 << 63, 0), (.max, 0), (500, 0),
    ] as [(UInt64, UInt32)] {
      var request = WireArtifactRequest()
      request.ticket = 5
      request.digest = artifact.digest.data
      request.offset = offset
      request.length = length
      guard case .refusal(let refusal) = try exchange(socket, ArtifactMessage.request(request).frames()) else {
        throw Unexpected(error: "a chunk")
      }
      #expect(refusal.code == .badRange)
      #expect(refusal.ticket == 5)
    }
    #expect(server.refusals == 11)
  }

  /// Damaged requests, whole ones among them, on a connection for every few thousand so that none is over its budget.
  @Test func fuzzedRequestsLeaveTheServerAtWork() throws {
    let data = patterned(10_000)
    let artifact = try source.put(data)
    var request = WireArtifactRequest()
    request.ticket = 5
    request.digest = artifact.digest.data
    request.offset = 1000
    request.length = 2000
    let original = try ArtifactMessage.request(request).frames()
    var fuzzing = Fuzzing("fuzzedRequestsLeaveTheServerAtWork")
    var left = fuzzing.inputs / 4
    while left > 0 {
      let socket = try ZMQSocket(.dealer, context: there, limits: .artifactClient)
      try socket.connect(server.endpoint)
      for _ in 0..<min(left, RequestBudgets.requests / 2) {
        var frames = original
        for _ in 0..<Int.random(in: 0...3, using: &fuzzing.random) { fuzzing.damage(&frames) }
        // A message has a frame.
        while try !frames.isEmpty && socket.send(frames) != .sent { try drain(socket) }
        try drain(socket)
      }
      left -= RequestBudgets.requests / 2
      try client().fetch(artifact, from: holders(server.endpoint), into: target)
      #expect(try bytes(target, artifact.digest) == data)
      try target.remove(artifact.digest)
    }
    #expect(server.refusals > 0)
    #expect(server.bytesServed > 0)
  }

  /// Every answer is a chunk of what was asked for, or a refusal.
  private func drain(_ socket: ZMQSocket) throws {
    while case .message(let frames)? = try socket.receive() {
      _ = try ArtifactMessage(
        header: frames[0].bytes, payload: frames[1].bytes, dataLengths: frames.dropFirst(2).map(\.count))
    }
  }

  /// A client that asks and does not read must not make the server keep all it asked for in memory, nor starve others.
  @Test func aClientThatDoesNotReadHoldsUpNobody() throws {
    let data = patterned(8 << 20)
    let artifact = try source.put(data)
    let greedy = try greedyClient(of: server, artifact)
    try client().fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
    // Of 200 chunks asked for, only what both queues and the kernel's buffers hold has left the server.
    #expect(server.bytesServed < 60 * Self.chunkLength)
    withExtendedLifetime(greedy) {}
  }

  /// However many do so, their chunks take a bounded part of memory, and leave some for those who read.
  @Test func clientsThatDoNotReadLeaveMemoryForOthers() throws {
    var limits = SendBudget.Limits()
    limits.total = 4 << 20
    limits.peer = 2 << 20
    limits.patience = .milliseconds(300)
    let server = try ArtifactServer(
      binding: "tcp://127.0.0.1:*", serving: source, context: here, sendLimits: limits)
    let data = patterned(8 << 20)
    let artifact = try source.put(data)
    var greedy: [ZMQSocket] = []
    for _ in 0..<6 { greedy.append(try greedyClient(of: server, artifact)) }
    // Each has its chunk, though the total is less: those before do not count any more.
    let areServed = waitUntil { server.bytesUnsent >= greedy.count * Self.chunkLength }
    #expect(areServed)
    try client().fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
    // Beyond the total, a chunk for each connection at most.
    #expect(server.bytesUnsent <= limits.total + 7 * Self.chunkLength)
    greedy.removeAll()
    let isFreed = waitUntil { server.bytesUnsent == 0 }
    #expect(isFreed)
  }

  /// Asks for 200 chunks and takes none but those that the kernel's buffers hold.
  private func greedyClient(of server: ArtifactServer, _ artifact: Artifact) throws -> ZMQSocket {
    var limits = SocketLimits.artifactClient
    limits.receiveQueue = 1
    let socket = try ZMQSocket(.dealer, context: there, limits: limits)
    try socket.connect(server.endpoint)
    var request = WireArtifactRequest()
    request.digest = artifact.digest.data
    request.length = UInt32(Self.chunkLength)
    for _ in 0..<200 { #expect(try socket.send(ArtifactMessage.request(request).frames()) == .sent) }
    return socket
  }

  /// - Returns: false if that does not come.
  private func waitUntil(_ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + patience
    while .now < deadline {
      if condition() { return true }
      Thread.sleep(forTimeInterval: 0.002)
    }
    return false
  }
}
