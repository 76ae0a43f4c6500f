import Foundation
import Messaging
import Synchronization
import Testing

/// Holders that lie, fall silent or die, and files that were damaged.
extension TransferTests {
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
      $0.chunkTimeout = .seconds(5)
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
    #expect(target.digests.isEmpty)
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
      // The request must have arrived before, also on a loaded machine.
      $0.firstChunkTimeout = .seconds(5)
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
    try data.overwrite(fileAt: source.directory + "/" + artifact.digest.hex)
    let reason = reason { try client().fetch(artifact, from: holders(server.endpoint), into: target) }
    #expect(reason.contains("corrupted and removed"))
    #expect(!source.contains(artifact.digest))
  }

  @Test func aDamagedFileOfOnesOwnIsFetchedAnew() throws {
    let data = patterned(100_000)
    let artifact = try source.put(data)
    try target.put(data)
    try Data(count: 100_000).overwrite(fileAt: target.directory + "/" + artifact.digest.hex)
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
    #expect(full.digests.isEmpty)
  }

  /// As a proxy does whose other side is gone. Each end of a connection has more than one event, and libzmq waits for every
  /// one of them to be taken.
  @Test func manyConnectionsThatEndAtOnceHoldUpNobody() throws {
    let data = patterned(1000)
    let artifact = try source.put(data)
    let door = try ClosingDoor()
    let client = try client {
      $0.rounds = 1
      $0.chunkTimeout = .seconds(30)
    }
    for _ in 0..<500 {
      #expect(throws: ArtifactError.self) { try client.fetch(artifact, from: holders(door.endpoint), into: target) }
    }
    try client.fetch(artifact, from: holders(server.endpoint), into: target)
    #expect(try bytes(target, artifact.digest) == data)
  }
}
