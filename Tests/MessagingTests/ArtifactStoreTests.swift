import Foundation
import Messaging
import Synchronization
import TestSupport
import Testing

@Suite struct ArtifactStoreTests {
  let directory: TemporaryDirectory
  var path: String { directory.path + "/store" }

  init() throws { directory = try TemporaryDirectory() }

  @Test(arguments: [ArtifactStore.Durability.durable, .cache]) func whatIsPutComesOut(
    durability: ArtifactStore.Durability
  ) throws {
    let store = try ArtifactStore(directory: path, durability: durability)
    for count in [0, 1, 4096, 1_000_003] {
      let data = patterned(count)
      let artifact = try store.put(data)
      #expect(artifact == Artifact(digest: .of(data), size: UInt64(count)))
      #expect(try bytes(store.file(artifact.digest, size: artifact.size)) == data)
      #expect(store.contains(artifact.digest))
      #expect(store.contains(artifact.digest, size: UInt64(count)))
      #expect(!store.contains(artifact.digest, size: UInt64(count) + 1))
    }
    #expect(store.digests.count == 4)
  }

  @Test func piecesMakeOneArtifact() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let data = patterned(10_000)
    let writer = try store.writer()
    for start in stride(from: 0, to: data.count, by: 777) {
      try writer.write(data[start..<min(data.count, start + 777)])
    }
    #expect(writer.size == 10_000)
    #expect(try writer.finish(expecting: Artifact(digest: .of(data), size: 10_000)).digest == .of(data))
    #expect(try bytes(store.file(.of(data))) == data)
  }

  @Test func aFileIsTakenOverWithoutCopy() throws {
    let store = try ArtifactStore(directory: path, durability: .durable)
    let data = patterned(5000)
    let staged = store.stagingPath()
    try data.write(to: URL(fileURLWithPath: staged))
    let artifact = try store.put(movingFileAt: staged)
    #expect(artifact.digest == .of(data))
    #expect(!FileManager.default.fileExists(atPath: staged))
    #expect(try Data(contentsOf: URL(fileURLWithPath: store.verifiedPath(artifact.digest))) == data)
  }

  @Test func theUnexpectedIsNotKept() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let announced = Artifact(digest: .of(patterned(100)), size: 100)
    let writer = try store.writer()
    try writer.write(patterned(100, seed: 2))
    let found = Artifact(digest: .of(patterned(100, seed: 2)), size: 100)
    #expect(throws: ArtifactError.mismatch(expected: announced, found: found)) {
      try writer.finish(expecting: announced)
    }
    #expect(store.digests.isEmpty)
    #expect(try filesIn(store).isEmpty)
  }

  /// Regular files in the store's directory and its staging directories, locks aside.
  private func filesIn(_ store: ArtifactStore) throws -> [String] {
    try directory.names(in: "store").filter {
      var isDirectory: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: path + "/" + $0, isDirectory: &isDirectory)
      return exists && !isDirectory.boolValue && !$0.hasSuffix(".lock")
    }
  }

  @Test func anAbandonedWriterLeavesNothing() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    do {
      let writer = try store.writer()
      try writer.write(patterned(100))
      #expect(try filesIn(store).count == 1)
    }
    #expect(try filesIn(store).isEmpty)
  }

  @Test func removedIsNotFound() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let artifact = try store.put(patterned(100))
    let open = try store.file(artifact.digest)
    #expect(try store.remove(artifact.digest) == 100)
    #expect(try store.remove(artifact.digest) == 0)
    #expect(!store.contains(artifact.digest))
    #expect(store.digests.isEmpty)
    #expect(throws: ArtifactError.notFound(artifact.digest, directory: path)) { try store.file(artifact.digest) }
    #expect(try bytes(open) == patterned(100))
  }

  @Test func aStoreFindsWhatAnotherLeft() throws {
    let artifact = try ArtifactStore(directory: path, durability: .durable).put(patterned(100))
    let store = try ArtifactStore(directory: path, durability: .durable)
    #expect(store.digests == [artifact.digest])
    #expect(try bytes(store.file(artifact.digest)) == patterned(100))
  }

  enum Damage: CaseIterable { case flippedBit, truncated, extended, emptied }

  @Test(arguments: Damage.allCases, [true, false]) func aCorruptedFileIsFoundNamedAndRemoved(
    damage: Damage, reopen: Bool
  ) throws {
    var store = try ArtifactStore(directory: path, durability: .durable)
    let artifact = try store.put(patterned(10_000))
    let file = path + "/" + artifact.digest.hex
    var data = patterned(10_000)
    switch damage {
    case .flippedBit: data[9_999] ^= 1
    case .truncated: data.removeLast()
    case .extended: data.append(0)
    case .emptied: data = Data()
    }
    try data.overwrite(fileAt: file)
    if reopen { store = try ArtifactStore(directory: path, durability: .durable) }
    let expected = ArtifactError.corrupted(path: file, expected: artifact.digest, found: .of(data))
    #expect(throws: expected) { try store.file(artifact.digest, size: artifact.size) }
    #expect(expected.description.contains(file))
    #expect(!FileManager.default.fileExists(atPath: file))
    #expect(throws: ArtifactError.notFound(artifact.digest, directory: path)) { try store.file(artifact.digest) }
    try store.put(patterned(10_000))
    #expect(try bytes(store.file(artifact.digest)) == patterned(10_000))
  }

  @Test func anotherSizeThanAskedForIsRefused() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let artifact = try store.put(patterned(10))
    #expect(throws: ArtifactError.wrongSize(path: path + "/" + artifact.digest.hex, expected: 11, found: 10)) {
      try store.file(artifact.digest, size: 11)
    }
    #expect(store.contains(artifact.digest))
  }

  @Test func aPutReplacesACorruptedFile() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let artifact = try store.put(patterned(100))
    try Data("bad".utf8).write(to: URL(fileURLWithPath: path + "/" + artifact.digest.hex))
    try store.put(patterned(100))
    #expect(try bytes(store.file(artifact.digest)) == patterned(100))
  }

  /// What a killed process leaves: a staging directory and its lock file, held by nobody.
  @Test func leftoversOfDeadProcessesAreSweptAndThoseOfLiveOnesAreNot() throws {
    let live = try ArtifactStore(directory: path, durability: .cache)
    let writer = try live.writer()
    try writer.write(patterned(100))
    let dead = path + "/.staging-dead"
    try FileManager.default.createDirectory(atPath: dead, withIntermediateDirectories: false)
    try Data("half".utf8).write(to: URL(fileURLWithPath: dead + "/1"))
    try Data("half".utf8).write(to: URL(fileURLWithPath: dead + "/2"))
    try Data().write(to: URL(fileURLWithPath: dead + ".lock"))
    let second = try ArtifactStore(directory: path, durability: .cache)
    #expect(try !directory.names(in: "store").contains { $0.hasPrefix(".staging-dead") })
    try writer.finish()
    #expect(second.contains(.of(patterned(100))))
  }

  @Test(arguments: ["store", "staging", "lock"]) func whatIsRemovedUnderAStoreIsNoticed(what: String) throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    try store.put(patterned(100))
    #expect(!store.isGone)
    let staging = (store.stagingPath() as NSString).deletingLastPathComponent
    let places = ["store": path, "staging": staging, "lock": staging + ".lock"]
    let place = try #require(places[what])
    try FileManager.default.removeItem(atPath: place)
    #expect(store.isGone)
  }

  @Test func aStoreThatIsClosedHasNothingButItsArtifacts() throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    let artifact = try store.put(patterned(100))
    try patterned(10).write(to: URL(fileURLWithPath: store.stagingPath()))
    store.removeStaging()
    #expect(try directory.names(in: "store") == [artifact.digest.hex])
    #expect(try bytes(store.file(artifact.digest)) == patterned(100))
  }

  /// Read at an offset, and longer than it is.
  @Test func aFileThatEndsEarlySaysWhere() throws {
    let file = try OpenFile(directory.write("file", "0123456789"))
    let expected = ArtifactError.endsEarly(path: file.path, end: 10, needed: 28)
    let offsets: [UInt64] = [8, 20]
    for offset in offsets {
      #expect(throws: expected) {
        try withUnsafeTemporaryAllocation(byteCount: 28 - Int(offset), alignment: 1) {
          try file.read(into: $0, at: offset)
        }
      }
    }
    #expect(expected.description.hasSuffix(": was cut short, it ends at byte 10, expected at least 28 bytes"))
  }

  @Test func strangeFilesAreLeftAlone() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(fileURLWithPath: path + "/README"))
    let store = try ArtifactStore(directory: path, durability: .cache)
    #expect(store.digests.isEmpty)
    #expect(FileManager.default.fileExists(atPath: path + "/README"))
  }

  @Test func aDirectoryThatCannotBeMadeIsNamed() throws {
    let file = directory.path + "/file"
    try Data().write(to: URL(fileURLWithPath: file))
    #expect {
      try ArtifactStore(directory: file + "/store", durability: .cache)
    } throws: { error in
      guard case .io("create directory", file + "/store", _)? = error as? ArtifactError else { return false }
      return true
    }
  }

  /// Every call that makes an artifact durable fails once: nothing is stored, nothing is left, and a retry works.
  @Test(arguments: [ENOSPC, EDQUOT, EIO], 0..<5) func eachFailingCallLeavesNothing(code: Int32, failing: Int) throws {
    let count = Mutex(0)
    // True for the call whose turn it is to fail.
    let isTurn: @Sendable () -> Bool = {
      let turn = count.withLock { count in
        defer { count += 1 }
        return count == failing
      }
      if turn { errno = code }
      return turn
    }
    let calls = FileCalls(
      write: { isTurn() ? -1 : FileCalls.system.write($0, $1, min($2, 60)) },
      sync: { isTurn() ? -1 : FileCalls.system.sync($0) },
      rename: { isTurn() ? -1 : FileCalls.system.rename($0, $1) })
    let store = try ArtifactStore(directory: path, durability: .durable, calls: calls)
    // 100 bytes in writes of 60: write, write, flush, rename, flush of the directory.
    #expect {
      try store.put(patterned(100))
    } throws: { error in
      switch (error as? ArtifactError, code) {
      case (.outOfSpace(let path)?, ENOSPC), (.outOfSpace(let path)?, EDQUOT): path.hasPrefix(self.path)
      case (.io(_, let path, code)?, EIO): path.hasPrefix(self.path)
      default: false
      }
    }
    if failing < 4 { #expect(try filesIn(store).isEmpty) }
    #expect(try store.put(patterned(100)).digest == .of(patterned(100)))
    #expect(try bytes(store.file(.of(patterned(100)))) == patterned(100))
    #expect(try filesIn(store) == [Digest.of(patterned(100)).hex])
  }

  @Test func manyThreadsPutAndOpenTheSame() async throws {
    let store = try ArtifactStore(directory: path, durability: .cache)
    await withTaskGroup(of: Bool.self) { group in
      for index in 0..<32 {
        group.addTask {
          let data = patterned(1000 + index % 4)
          guard let artifact = try? store.put(data), let file = try? store.file(artifact.digest) else { return false }
          return (try? bytes(file)) == data
        }
      }
      for await isRight in group { #expect(isRight) }
    }
    #expect(store.digests.count == 4)
  }
}
