import Foundation
import Messaging
import Synchronization
import TestSupport
import Testing
import Worker

/// Several processes of a machine, each with a client of its own, and one coordinator.
@Suite struct CoordinatorFilesTests {
  private let directory: TemporaryDirectory
  private let context: ZMQContext
  private let source: ArtifactStore
  private let server: ArtifactServer

  init() throws {
    directory = try TemporaryDirectory()
    context = try ZMQContext()
    source = try ArtifactStore(directory: directory.file("source"), durability: .cache)
    server = try ArtifactServer(binding: "tcp://127.0.0.1:*", serving: source, context: context)
  }

  private func process(
    lockPatience: Duration = .seconds(60), isUnwanted: @escaping @Sendable () -> Bool = { false }
  ) throws -> CoordinatorFiles {
    let client = try ArtifactClient(context: context)
    return try CoordinatorFiles(
      in: directory.file("files"), from: ArtifactHolder(server.endpoint), by: client, lockPatience: lockPatience,
      isUnwanted: isUnwanted)
  }

  /// Takes the lock of a file, as a process does that fetches it.
  private func lock(_ artifact: Artifact) throws -> FileLock {
    let lock = try FileLock.take(directory.file("files/\(artifact.digest.hex).lock"), makingFile: true)
    return try #require(lock)
  }

  @Test func theProcessesOfAMachineFetchAFileOnce() throws {
    let bytes = Data((0..<9_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    let artifact = try source.put(bytes)
    let processes = try (0..<4).map { _ in try process() }
    let paths = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: processes.count) { index in
      if let path = try? processes[index].path(of: artifact, named: "file") { paths.withLock { $0.append(path) } }
    }
    #expect(paths.withLock { $0 } == Array(repeating: directory.file("files/\(artifact.digest.hex)"), count: 4))
    #expect(try Data(contentsOf: URL(fileURLWithPath: paths.withLock { $0[0] })) == bytes)
    #expect(server.bytesServed <= UInt64(bytes.count))
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.file("files"))
    #expect(left.filter { !$0.hasPrefix(".") } == [artifact.digest.hex])
  }

  @Test func aFileThatIsDamagedHereIsFetchedAgain() throws {
    let artifact = try source.put(Data(repeating: 3, count: 1000))
    let path = try process().path(of: artifact, named: "file")
    try Data(repeating: 4, count: 1000).write(to: URL(fileURLWithPath: path))
    #expect(try process().path(of: artifact, named: "file") == path)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(repeating: 3, count: 1000))
  }

  @Test func aFileThatTheCoordinatorDoesNotHaveIsNamed() throws {
    let artifact = Artifact(digest: .of(Data([1])), size: 1)
    let error = #expect(throws: TaskError.self) { try process().path(of: artifact, named: "/models/x (block 3)") }
    #expect("\(error as Any)".contains("/models/x (block 3): artifact \(artifact.digest.short)"))
  }

  @Test func theSuccessorOfACoordinatorServesElsewhere() throws {
    let artifact = try source.put(Data([7]))
    let client = try ArtifactClient(context: context)
    let files = try CoordinatorFiles(
      in: directory.file("files"), from: ArtifactHolder("tcp://127.0.0.1:1"), by: client, isUnwanted: { false })
    #expect(throws: TaskError.self) { try files.path(of: artifact, named: "file") }
    files.coordinator = ArtifactHolder(server.endpoint)
    #expect(try files.path(of: artifact, named: "file").hasSuffix(artifact.digest.hex))
  }

  @Test func aDirectoryThatIsTakenAwayIsAFaultOfThisMachine() throws {
    let artifact = try source.put(Data([7]))
    let files = try process()
    try FileManager.default.removeItem(atPath: directory.file("files"))
    #expect(throws: ArtifactError.self) { try files.path(of: artifact, named: "file") }
  }

  @Test func waitingForAnotherProcessCanBeCancelled() throws {
    let artifact = try source.put(Data([1, 2]))
    let files = try process { true }
    let lock = try lock(artifact)
    #expect(throws: TaskError.cancelled) { try files.path(of: artifact, named: "file") }
    withExtendedLifetime(lock) {}
  }

  @Test func aProcessThatIsStoppedIsNotWaitedFor() throws {
    let artifact = try source.put(Data([1, 2]))
    let files = try process(lockPatience: .milliseconds(300))
    let lock = try lock(artifact)
    #expect(try files.path(of: artifact, named: "file").hasSuffix(artifact.digest.hex))
    withExtendedLifetime(lock) {}
  }

  @Test func aProcessThatLivesIsWaitedForHoweverLongItTakes() throws {
    let artifact = try source.put(Data([1, 2]))
    let files = try process(lockPatience: .seconds(1))
    let start = ContinuousClock.now
    let held = Mutex<FileLock?>(try lock(artifact))
    let bytesServed = Atomic<UInt64>(.max)
    let longestGap = Mutex(Duration.zero)
    let isOver = DispatchSemaphore(value: 0)
    Thread { [server] in
      var last = start
      for _ in 0..<50 {
        held.withLock { lock in if let lock { futimens(lock.descriptor, nil) } }
        Thread.sleep(forTimeInterval: 0.05)
        longestGap.withLock { $0 = max($0, .now - last) }
        last = .now
      }
      bytesServed.store(server.bytesServed, ordering: .sequentiallyConsistent)
      held.withLock { $0 = nil }
      longestGap.withLock { $0 = max($0, .now - last) }
      isOver.signal()
    }.start()
    #expect(try files.path(of: artifact, named: "file").hasSuffix(artifact.digest.hex))
    isOver.wait()
    // The other process has let go before this one has asked for anything, unless a loaded machine kept it from its signs.
    if longestGap.withLock({ $0 }) < .milliseconds(700) {
      #expect(bytesServed.load(ordering: .sequentiallyConsistent) == 0)
    }
  }

  @Test func aProcessShowsThatItLivesWhileItFetches() throws {
    let artifact = try source.put(Data([1, 2]))
    let mute = try ZMQSocket(.router, context: context, limits: .control)
    let isOver = Atomic<Bool>(false)
    let files = try process { isOver.load(ordering: .sequentiallyConsistent) }
    files.coordinator = ArtifactHolder(try mute.bind("tcp://127.0.0.1:*"))
    let signs = Mutex<Set<Date>>([])
    let lockPath = directory.file("files/\(artifact.digest.hex).lock")
    Thread {
      let deadline = ContinuousClock.now + .seconds(30)
      while signs.withLock({ $0.count }) < 3, .now < deadline {
        if let date = try? FileManager.default.attributesOfItem(atPath: lockPath)[.modificationDate] as? Date {
          _ = signs.withLock { $0.insert(date) }
        }
        Thread.sleep(forTimeInterval: 0.02)
      }
      isOver.store(true, ordering: .sequentiallyConsistent)
    }.start()
    #expect(throws: TaskError.cancelled) { try files.path(of: artifact, named: "file") }
    #expect(signs.withLock { $0.count } >= 3)
    withExtendedLifetime(mute) {}
  }

  /// Also for the inputs of tasks that it holds.
  @Test func theCoordinatorIsWaitedForLongerThanWorkers() throws {
    let files = try process()
    #expect(files.chunkPatience(for: [ArtifactHolder(server.endpoint)]) == .seconds(60))
    #expect(files.chunkPatience(for: [ArtifactHolder("tcp://127.0.0.1:1")]) == nil)
  }
}
