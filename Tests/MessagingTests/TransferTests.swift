import Foundation
import Messaging
import Synchronization
import TestSupport
import Testing

/// Holders without keys.
func holders(_ endpoints: String...) -> [ArtifactHolder] { endpoints.map { ArtifactHolder($0) } }

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

  static let chunkLength = 1 << 20

  func client(_ adjust: (inout ArtifactClient.Policy) -> Void = { _ in }) throws -> ArtifactClient {
    var policy = ArtifactClient.Policy()
    policy.chunkLength = Self.chunkLength
    policy.roundPause = .milliseconds(10)
    adjust(&policy)
    return try ArtifactClient(context: there, policy: policy)
  }

  func bytes(_ store: ArtifactStore, _ digest: Digest) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: store.verifiedPath(digest)))
  }

  struct Unexpected: Error { let error: String }

  /// The reason that the only holder of a failed fetch is given.
  func reason(_ body: () throws -> Void) -> String {
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
    #expect(target.digests.isEmpty)
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
}
