import Foundation
import Messaging
import Synchronization
import Testing
import Worker

/// Several processes of a machine, each with a client of its own, and one coordinator.
@Suite struct CoordinatorFilesTests {
  private let directory = NSTemporaryDirectory() + "crvq-served-\(UUID().uuidString)"
  private let context: ZMQContext
  private let source: ArtifactStore
  private let server: ArtifactServer

  init() throws {
    context = try ZMQContext()
    source = try ArtifactStore(directory: directory + "/source", durability: .cache)
    server = try ArtifactServer(binding: "tcp://127.0.0.1:*", serving: source, context: context)
  }

  private func process(isUnwanted: @escaping @Sendable () -> Bool = { false }) throws -> CoordinatorFiles {
    let client = try ArtifactClient(context: context)
    return try CoordinatorFiles(
      in: directory + "/files", from: ArtifactHolder(server.endpoint), by: client, isUnwanted: isUnwanted)
  }

  private func removeAll() { try? FileManager.default.removeItem(atPath: directory) }

  @Test func theProcessesOfAMachineFetchAFileOnce() throws {
    defer { removeAll() }
    let bytes = Data((0..<9_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    let artifact = try source.put(bytes)
    let processes = try (0..<4).map { _ in try process() }
    let paths = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: processes.count) { index in
      if let path = try? processes[index].path(of: artifact, named: "file") { paths.withLock { $0.append(path) } }
    }
    #expect(paths.withLock { $0 } == Array(repeating: "\(directory)/files/\(artifact.digest.hex)", count: 4))
    #expect(try Data(contentsOf: URL(fileURLWithPath: paths.withLock { $0[0] })) == bytes)
    #expect(server.bytesServed <= UInt64(bytes.count))
    let left = try FileManager.default.contentsOfDirectory(atPath: directory + "/files")
    #expect(left.filter { !$0.hasPrefix(".") } == [artifact.digest.hex])
  }

  @Test func aFileThatIsDamagedHereIsFetchedAgain() throws {
    defer { removeAll() }
    let artifact = try source.put(Data(repeating: 3, count: 1000))
    let path = try process().path(of: artifact, named: "file")
    try Data(repeating: 4, count: 1000).write(to: URL(fileURLWithPath: path))
    #expect(try process().path(of: artifact, named: "file") == path)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(repeating: 3, count: 1000))
  }

  @Test func aFileThatTheCoordinatorDoesNotHaveIsNamed() throws {
    defer { removeAll() }
    let artifact = Artifact(digest: .of(Data([1])), size: 1)
    let error = #expect(throws: TaskError.self) { try process().path(of: artifact, named: "/models/x (block 3)") }
    #expect("\(error as Any)".contains("/models/x (block 3): artifact \(artifact.digest.short)"))
  }

  @Test func theSuccessorOfACoordinatorServesElsewhere() throws {
    defer { removeAll() }
    let artifact = try source.put(Data([7]))
    let client = try ArtifactClient(context: context)
    let files = try CoordinatorFiles(
      in: directory + "/files", from: ArtifactHolder("tcp://127.0.0.1:1"), by: client, isUnwanted: { false })
    #expect(throws: TaskError.self) { try files.path(of: artifact, named: "file") }
    files.coordinator = ArtifactHolder(server.endpoint)
    #expect(try files.path(of: artifact, named: "file").hasSuffix(artifact.digest.hex))
  }

  @Test func aDirectoryThatIsTakenAwayIsAFaultOfThisMachine() throws {
    defer { removeAll() }
    let artifact = try source.put(Data([7]))
    let files = try process()
    try FileManager.default.removeItem(atPath: directory + "/files")
    #expect(throws: ArtifactError.self) { try files.path(of: artifact, named: "file") }
  }

  @Test func waitingForAnotherProcessCanBeCancelled() throws {
    defer { removeAll() }
    let artifact = try source.put(Data([1, 2]))
    let files = try process { true }
    let lock = try FileLock.take("\(directory)/files/\(artifact.digest.hex).lock", makingFile: true)
    #expect(lock != nil)
    #expect(throws: TaskError.cancelled) { try files.path(of: artifact, named: "file") }
    withExtendedLifetime(lock) {}
  }
}
