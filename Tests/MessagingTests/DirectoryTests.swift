import Foundation
import Messaging
import TestSupport
import Testing

@Suite struct DirectoryTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func whatWasMadeIsToldAndCanBeTakenBack() throws {
    let made = try Directory.make(directory.file("a/b/c"))
    #expect(made == ["a", "a/b", "a/b/c"].map(directory.file))
    #expect(try Directory.make(directory.file("a/b/c")).isEmpty)
    #expect(try Directory.make(directory.file("a/b/d")) == [directory.file("a/b/d")])
    Directory.remove(made)
    // What is not empty stays.
    #expect(try directory.names() == ["a", "a/b", "a/b/d"])
  }

  @Test func parents() {
    let parents = ["a": ".", "ab": ".", "/": "/", "/a": "/", "a/b": "a", "/a/b": "/a", "ä/ö": "ä"]
    for (path, parent) in parents { #expect(Directory.parent(of: path) == parent, "\(path)") }
  }

  @Test(arguments: ["file", "file/a", "file/a/b"]) func aFileInTheWayIsAnErrorOfTheSystem(place: String) throws {
    try directory.write("file", "mine")
    let path = directory.file(place)
    let error = ArtifactError.io(operation: "cannot make it", path: path, errno: ENOTDIR)
    #expect(throws: error) { try Directory.make(path, operation: "cannot make it") }
    #expect(throws: error) { try Directory.tryOut(path, operation: "cannot make it") }
    #expect(error.description == "\(path): cannot make it: Not a directory")
    #expect(try directory.names() == ["file"])
  }

  @Test func nothingStaysOfWhatCannotBeMadeWhole() throws {
    let path = directory.file("a/" + String(repeating: "x", count: 300))
    #expect(throws: ArtifactError.io(operation: "make", path: path, errno: ENAMETOOLONG)) {
      try Directory.make(path, operation: "make")
    }
    #expect(try directory.names().isEmpty)
  }

  @Test func tryingOutLeavesNothing() throws {
    try Directory.tryOut(directory.file("a/b"), operation: "make")
    try Directory.tryOut(directory.path, operation: "make")
    #expect(try directory.names().isEmpty)
    #expect(throws: ArtifactError.self) { try Directory.tryOut("/proc/a", operation: "make") }
  }

  @Test func namesThatWillBeTooLongAreFoundBefore() throws {
    let path = directory.file("a/b")
    let names = { (count: Int) in [path + String(repeating: "x", count: count)] }
    try Directory.tryOut(path, needing: names(254), operation: "make")
    let error = ArtifactError.io(operation: "make", path: path, errno: ENAMETOOLONG)
    #expect(throws: error) { try Directory.tryOut(path, needing: names(255), operation: "make") }
    #expect(try directory.names().isEmpty)
  }

  /// Of another directory, of a process that lives, or of another name: those stay.
  @Test func whatKilledProcessesTriedOutGoes() throws {
    let dead = Int32.max
    let others = ["b.crvq-\(dead)", "a.crvq-\(getpid())", "a.crvq-x", "a.\(dead)"]
    for name in others + ["a.crvq-\(dead)"] { try Directory.make(directory.file(name)) }
    try Directory.tryOut(directory.file("a"), operation: "make")
    #expect(try directory.names() == others.sorted())
  }

  enum Loss: CaseIterable { case removed, replaced, moved }

  @Test(arguments: Loss.allCases) func aLockThatIsGoneIsNoticed(loss: Loss) throws {
    let path = directory.file("lock")
    let lock = try #require(try FileLock.take(path, makingFile: true))
    #expect(!lock.isGone)
    switch loss {
    case .removed: #expect(unlink(path) == 0)
    case .replaced:
      try directory.write("other", "")
      #expect(rename(directory.file("other"), path) == 0)
    case .moved: #expect(rename(path, directory.file("other")) == 0)
    }
    #expect(lock.isGone)
    let second = try #require(try FileLock.take(path, makingFile: true))
    #expect(!second.isGone && lock.isGone)
  }

  /// Where no file can be made there is nobody to wait for.
  @Test func aLockWhoseFileCannotBeMadeIsNotTakenByAnother() throws {
    let nowhere = directory.file("none/lock")
    #expect(throws: ArtifactError.io(operation: "lock", path: nowhere, errno: ENOENT)) {
      try FileLock.take(nowhere, makingFile: true)
    }
    #expect(try FileLock.take(nowhere, makingFile: false) == nil)
    let lock = try #require(try FileLock.take(directory.file("lock"), makingFile: true))
    #expect(try FileLock.take(directory.file("lock"), makingFile: true) == nil)
    withExtendedLifetime(lock) {}
  }
}
