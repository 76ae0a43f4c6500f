import Foundation
import Messaging
import Synchronization
import Testing

/// A holder that does what a test wants of it: the boundary where bad holders are made.
private final class FakeHolder: Sendable {
  let endpoint: String
  private let state = State()

  /// Shared with the thread, which must not keep the holder itself alive.
  private final class State: Sendable {
    let isStopping = Atomic<Bool>(false)
    let requests = Atomic<Int>(0)
    let hasEnded = DispatchSemaphore(value: 0)
  }

  enum Answer {
    case frames([[UInt8]], data: [UInt8]?)
    case silence
    /// Closes the socket, as a process that dies does.
    case death
  }

  var requestCount: Int { state.requests.load(ordering: .sequentiallyConsistent) }

  init(_ context: ZMQContext, _ answer: @escaping @Sendable (WireArtifactRequest) throws -> Answer) throws {
    let bound = Mutex("")
    let hasBegun = DispatchSemaphore(value: 0)
    Thread { [state] in
      defer { state.hasEnded.signal() }
      guard let socket = try? ZMQSocket(.router, context: context, limits: .artifactServer) else { return }
      bound.withLock { $0 = (try? socket.bind("tcp://127.0.0.1:*")) ?? "" }
      hasBegun.signal()
      while !state.isStopping.load(ordering: .acquiring) {
        guard case .message(let frames)? = try? socket.receive() else {
          Thread.sleep(forTimeInterval: 0.002)
          continue
        }
        state.requests.wrappingAdd(1, ordering: .sequentiallyConsistent)
        guard
          case .request(let request)? = try? ArtifactMessage(
            header: frames[1].bytes, payload: frames[2].bytes, dataLengths: [])
        else { continue }
        switch try? answer(request) {
        case .frames(let answer, let data)?:
          _ = try? socket.send([frames[0].bytes] + answer + (data.map { [$0] } ?? []))
        case .silence?, nil: continue
        case .death?: return
        }
      }
    }.start()
    hasBegun.wait()
    endpoint = bound.withLock { $0 }
  }

  deinit {
    state.isStopping.store(true, ordering: .releasing)
    state.hasEnded.wait()
  }
}

/// Holders without keys.
private func holders(_ endpoints: String...) -> [ArtifactHolder] { endpoints.map { ArtifactHolder($0) } }

@Suite struct TransferTests {
  let here: ZMQContext
  let there: ZMQContext
  let directory: TemporaryDirectory
  let source: ArtifactStore
  let target: ArtifactStore
  let server: ArtifactServer

  init() throws {
    here = try ZMQContext()
    there = try ZMQContext()
    directory = try TemporaryDirectory()
    source = try ArtifactStore(directory: directory.path + "/source", durability: .cache)
    target = try ArtifactStore(directory: directory.path + "/target", durability: .cache)
    server = try ArtifactServer(binding: "tcp://127.0.0.1:*", serving: source, context: here)
  }

  private static let chunkLength = 1 << 20

  private func client(_ adjust: (inout ArtifactClient.Policy) -> Void = { _ in }) throws -> ArtifactClient {
    var policy = ArtifactClient.Policy()
    policy.chunkLength = Self.chunkLength
    policy.roundPause = .milliseconds(10)
    adjust(&policy)
    return try ArtifactClient(context: there, policy: policy)
  }

  private func bytes(_ store: ArtifactStore, _ digest: Digest) throws -> Data {
    try store.open(digest).withUnsafeBytes { Data($0) }
  }

  /// The reason that the only holder of a failed fetch is given.
  private func reason(_ body: () throws -> Void) -> String {
    let error = #expect(throws: ArtifactError.self) { try body() }
    guard case .unavailable(_, let failures)? = error, failures.count == 1 else { return "\(error as Any)" }
    return failures[0].reason
  }

  @Test(arguments: [
    0, 1, chunkLength - 1, chunkLength, chunkLength + 1, 4 * chunkLength, 5 * chunkLength + 7, 40_000_000,
  ])
  func anArtifactArrivesWhole(count: Int) throws {
    let data = patterned(count)
    let artifact = try source.put(data)
    let client = try client()
    try client.fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
    #expect(client.bytesFetched == UInt64(count))
    // The server counts after it has sent, so the last chunk may arrive before it is counted.
    let deadline = ContinuousClock.now + .seconds(30)
    while server.bytesServed < UInt64(count), .now < deadline { Thread.sleep(forTimeInterval: 0.001) }
    #expect(server.bytesServed == UInt64(count))
    // The second time it is there already.
    try client.fetch(artifact, from: [], into: target)
  }

  @Test func aMissingArtifactIsNamedAndAskedForOnce() throws {
    let artifact = Artifact(digest: .of(patterned(10)), size: 10)
    let reason = reason { try client().fetch(artifact, from: holders(server.endpoint), into: target) }
    #expect(reason.contains(artifact.digest.short))
    #expect(server.refusals == 1)
    #expect(!target.contains(artifact.digest))
  }

  @Test func anotherSizeThanAnnouncedIsRefused() throws {
    let artifact = try source.put(patterned(100))
    // Shorter: the holder's chunk tells its real size. Longer: the range is beyond the end.
    for size in [99, 101] as [UInt64] {
      let wrong = Artifact(digest: artifact.digest, size: size)
      #expect(reason { try client().fetch(wrong, from: holders(server.endpoint), into: target) }.contains("100"))
    }
    #expect(target.totalBytes == 0)
  }

  @Test func noHolderIsUnavailable() throws {
    let artifact = Artifact(digest: .of(patterned(10)), size: 10)
    let error = #expect(throws: ArtifactError.self) { try client().fetch(artifact, from: [], into: target) }
    #expect(error == .unavailable(artifact, []))
    #expect(error?.description.contains("no holder is known") == true)
  }

  @Test func holdersThatCannotBeReachedAreNamedAndTheNextIsUsed() throws {
    let data = patterned(3_000_000)
    let artifact = try source.put(data)
    // Bound and closed again: a port where nobody listens.
    let nobody = try ZMQSocket(.router, context: here, limits: .control).bind("tcp://127.0.0.1:*")
    let client = try client()
    #expect(reason { try client.fetch(artifact, from: holders(nobody), into: target) } == "cannot be reached")
    #expect(reason { try client.fetch(artifact, from: holders("nonsense"), into: target) }.contains("tcp://HOST:PORT"))
    try client.fetch(artifact, from: holders("nonsense", nobody, server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
  }

  @Test func manyFetchersAtOnce() async throws {
    let artifacts = try (0..<12).map { try source.put(patterned(1_500_000, seed: UInt64($0))) }
    let client = try client()
    let failures = Mutex<[String]>([])
    // Each artifact is wanted by two threads.
    await onThreads(24) { index in
      do {
        try client.fetch(artifacts[index / 2], from: holders(server.endpoint), into: target)
      } catch { failures.withLock { $0.append("\(error)") } }
    }
    #expect(failures.withLock { $0 } == [])
    for artifact in artifacts { #expect(try bytes(target, artifact.digest) == bytes(source, artifact.digest)) }
    // The second of two waited for the first instead of fetching again.
    #expect(client.bytesFetched == 12 * 1_500_000)
  }

  /// Runs `body` for each index on a thread of its own and waits for all.
  private func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) async {
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<count {
        group.addTask {
          await withCheckedContinuation { continuation in
            Thread {
              body(index)
              continuation.resume()
            }.start()
          }
        }
      }
    }
  }

  // MARK: Bad holders

  /// The answer of a correct holder of `data`.
  private static func chunk(_ request: WireArtifactRequest, of data: Data) -> (WireArtifactChunk, [UInt8]) {
    let range = Int(request.offset)..<Int(request.offset) + Int(request.length)
    let bytes = [UInt8](data[range])
    var chunk = WireArtifactChunk()
    chunk.ticket = request.ticket
    chunk.digest = request.digest
    chunk.offset = request.offset
    chunk.totalSize = UInt64(data.count)
    chunk.crc32C = bytes.withUnsafeBytes { CRC32C.of($0) }
    return (chunk, bytes)
  }

  enum Fault: CaseIterable {
    case flippedBit, truncated, extended, displaced, otherArtifact, otherSize, wholeWrong
    case garbage, silence, death, oversized
  }

  /// Each fault alone is noticed, named and leaves nothing; with a good holder behind, the artifact arrives.
  @Test(arguments: Fault.allCases) func aBadHolderIsNoticedAndTheNextIsUsed(fault: Fault) throws {
    let data = patterned(3 * Self.chunkLength + 5)
    let artifact = try source.put(data)
    let bad = try FakeHolder(here) { request in
      let isMarked = request.offset == UInt64(Self.chunkLength)
      var (chunk, bytes) = Self.chunk(request, of: data)
      switch fault {
      case .flippedBit where isMarked: bytes[17] ^= 4
      case .truncated where isMarked: bytes.removeLast()
      case .extended where isMarked: bytes.append(0)
      case .displaced where isMarked: chunk.offset += 1
      case .otherArtifact where isMarked: chunk.digest = Digest.of([1]).data
      case .otherSize where isMarked: chunk.totalSize += 1
      case .wholeWrong where isMarked:
        bytes[17] ^= 4
        chunk.crc32C = bytes.withUnsafeBytes { CRC32C.of($0) }
      case .garbage where isMarked: return .frames([[1, 2, 3]], data: nil)
      case .silence where isMarked: return .silence
      case .death where isMarked: return .death
      case .oversized where isMarked: bytes = [UInt8](repeating: 0, count: ArtifactMessage.chunkLimit + 1)
      default: break
      }
      return .frames(try ArtifactMessage.chunk(chunk).frames(), data: bytes)
    }
    let client = try client {
      $0.rounds = 1
      $0.chunkTimeout = .milliseconds(300)
    }
    let reason = reason { try client.fetch(artifact, from: holders(bad.endpoint), into: target) }
    switch fault {
    case .flippedBit: #expect(reason == "a corrupted chunk at byte 1048576")
    case .truncated: #expect(reason.contains("a chunk of 1048575 bytes"))
    case .extended: #expect(reason.contains("a chunk of 1048577 bytes"))
    case .displaced: #expect(reason.contains("a chunk for byte 1048577"))
    case .otherArtifact: #expect(reason.contains("another artifact"))
    case .otherSize: #expect(reason.contains("an artifact of \(data.count + 1) bytes"))
    case .wholeWrong: #expect(reason.hasPrefix("sent bytes of digest"))
    // The next chunk comes where this one should have been.
    case .garbage, .silence: #expect(reason.contains("a chunk for byte 2097152"))
    case .death, .oversized: #expect(reason == "closed the connection" || reason == "cannot be reached")
    }
    #expect(target.totalBytes == 0)
    try client.fetch(artifact, from: holders(bad.endpoint, server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
  }

  /// Once for a holder, however often: what is fetched again comes whole, and only the log knows.
  @Test func aDamagedChunkThatIsFetchedAgainIsLoggedWithItsSource() throws {
    let data = patterned(100)
    let artifact = try source.put(data)
    let count = Atomic<Int>(0)
    let holder = try FakeHolder(here) { request in
      var (chunk, bytes) = Self.chunk(request, of: data)
      if count.wrappingAdd(1, ordering: .relaxed).oldValue < 2 { bytes[17] ^= 4 }
      return .frames(try ArtifactMessage.chunk(chunk).frames(), data: bytes)
    }
    let lines = Mutex<[String]>([])
    let client = try ArtifactClient(context: there) { line in lines.withLock { $0.append(line) } }
    try client.fetch(artifact, from: holders(holder.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
    let line = "artifact \(artifact.digest.short) from \(holder.endpoint): a corrupted chunk at byte 0, not used"
    #expect(lines.withLock { $0 } == [line])
  }

  @Test func aHolderThatNeverAnswersRunsIntoTheTimeout() throws {
    let artifact = try source.put(patterned(100))
    let mute = try FakeHolder(here) { _ in .silence }
    let client = try client {
      $0.rounds = 2
      $0.firstChunkTimeout = .milliseconds(100)
    }
    #expect(reason { try client.fetch(artifact, from: holders(mute.endpoint), into: target) } == "no answer at byte 0")
    // Not in the second round again.
    #expect(mute.requestCount == 1)
  }

  /// With the real timeouts: a fetch that waited for them would be noticed by whoever runs the tests.
  @Test func aHolderThatIsGivenUpHoldsUpNobody() throws {
    let artifact = try source.put(patterned(100))
    let isMute = Atomic<Bool>(true)
    let holder = try FakeHolder(here) { request in
      if isMute.load(ordering: .relaxed) { return .silence }
      let (chunk, bytes) = Self.chunk(request, of: patterned(100))
      return .frames(try ArtifactMessage.chunk(chunk).frames(), data: bytes)
    }
    let client = try client()
    Thread {
      while holder.requestCount == 0 { Thread.sleep(forTimeInterval: 0.005) }
      client.forsake(holder.endpoint)
    }.start()
    #expect(
      reason { try client.fetch(artifact, from: holders(holder.endpoint), into: target) } == "no longer part of the job"
    )
    isMute.store(false, ordering: .relaxed)
    client.trust([holder.endpoint])
    try client.fetch(artifact, from: holders(holder.endpoint), into: target)
    #expect(target.contains(artifact.digest))
  }

  @Test func aDamagedFileIsNotServed() throws {
    let artifact = try source.put(patterned(100_000))
    var data = patterned(100_000)
    data[500] ^= 1
    try data.write(to: URL(fileURLWithPath: source.directory + "/" + artifact.digest.hex))
    let reason = reason { try client().fetch(artifact, from: holders(server.endpoint), into: target) }
    #expect(reason.contains("corrupted and removed"))
    #expect(!source.contains(artifact.digest))
  }

  @Test func aDamagedFileOfOnesOwnIsFetchedAnew() throws {
    let data = patterned(100_000)
    let artifact = try source.put(data)
    try target.put(data)
    try Data(count: 100_000).write(to: URL(fileURLWithPath: target.directory + "/" + artifact.digest.hex))
    try client().fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
  }

  @Test func aCancelledFetchEnds() throws {
    let mute = try FakeHolder(here) { _ in .silence }
    let artifact = Artifact(digest: .of(patterned(10)), size: 10)
    let began = ContinuousClock.now
    #expect(throws: ArtifactError.cancelled(artifact.digest)) {
      try client().fetch(artifact, from: holders(mute.endpoint), into: target) {
        ContinuousClock.now - began > .milliseconds(50)
      }
    }
  }

  @Test func aClosedClientEndsItsFetches() throws {
    let artifact = Artifact(digest: .of(patterned(10)), size: 10)
    let client = try client()
    let mute = try FakeHolder(here) { _ in .silence }
    Thread {
      while mute.requestCount == 0 { Thread.sleep(forTimeInterval: 0.005) }
      client.close()
    }.start()
    #expect(throws: ArtifactError.closed) { try client.fetch(artifact, from: holders(mute.endpoint), into: target) }
    #expect(throws: ArtifactError.closed) { try client.fetch(artifact, from: holders(mute.endpoint), into: target) }
  }

  @Test func aFullDiskEndsTheFetchWithItsOwnError() throws {
    let artifact = try source.put(patterned(2_000_000))
    let full = try ArtifactStore(
      directory: directory.path + "/full", durability: .cache,
      calls: FileCalls(
        write: { descriptor, bytes, count in
          if lseek(descriptor, 0, SEEK_CUR) < 1_000_000 { return FileCalls.system.write(descriptor, bytes, count) }
          errno = ENOSPC
          return -1
        }, sync: FileCalls.system.sync, rename: FileCalls.system.rename))
    let error = #expect(throws: ArtifactError.self) {
      try client().fetch(artifact, from: holders(server.endpoint), into: full)
    }
    guard case .outOfSpace? = error else { throw Unexpected(error: "\(error as Any)") }
    #expect(full.totalBytes == 0)
  }

  private struct Unexpected: Error { let error: String }

  // MARK: Bad clients

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
    let greedy = try ZMQSocket(.dealer, context: there, limits: .artifactClient)
    try greedy.connect(server.endpoint)
    var request = WireArtifactRequest()
    request.digest = artifact.digest.data
    request.length = UInt32(4 << 20)
    for _ in 0..<200 { #expect(try greedy.send(ArtifactMessage.request(request).frames()) == .sent) }
    try client().fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
    // Of the 800 MiB asked for, only what both queues and the kernel's buffers hold has left the server.
    #expect(server.bytesServed < 60 * (4 << 20))
  }
}
