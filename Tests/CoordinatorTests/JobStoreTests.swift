import Coordinator
import Foundation
import TestSupport
import Testing

@Suite struct JobStoreTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var databasePath: String { JobDirectory.databasePath(in: directory.path) }

  private func fit(_ block: Int, _ part: Int) -> StoredResult {
    StoredResult(
      kind: .fit, block: block, part: part, digest: String(repeating: "a", count: 64), size: 5, record: "{}",
      worker: "w", seconds: 1)
  }

  @Test func resultsSurviveReopening() throws {
    try JobStore(path: databasePath).store(fit(1, 2))
    #expect(try JobStore(path: databasePath).results() == [fit(1, 2)])
  }

  @Test func storingAResultTwiceKeepsOne() throws {
    let store = try JobStore(path: databasePath)
    try store.store(fit(0, 0))
    try store.store(fit(0, 0))
    #expect(try store.results().count == 1)
  }

  @Test func aDamagedDatabaseIsNamedAndRefused() throws {
    try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: databasePath))
    let error = #expect(throws: CoordinatorError.self) { try JobStore(path: databasePath) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains(databasePath) == true)
  }

  /// SQLite writes beside a database to read it. Nothing keeps the superuser from that.
  @Test(.enabled(if: geteuid() != 0, "the superuser may write anywhere"))
  func aJobAtRestIsReadWhereNothingCanBeWritten() throws {
    let job = directory.file("a job? of 100 %")
    try FileManager.default.createDirectory(atPath: job, withIntermediateDirectories: false)
    let path = JobDirectory.databasePath(in: job)
    try JobStore(path: path).store(fit(1, 2))
    #expect(chmod(job, 0o555) == 0)
    defer { chmod(job, 0o755) }
    #expect(try JobStore(path: path, readOnly: true).results() == [fit(1, 2)])
    #expect(try FileManager.default.contentsOfDirectory(atPath: job) == [JobDirectory.databaseName])
  }

  @Test func aFoldedDatabaseIsWholeWhileItIsOpen() throws {
    let path = directory.file("job.sqlite")
    let store = try JobStore(path: path)
    try store.store(fit(1, 2))
    let copy = directory.file("copy.sqlite")
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    #expect(throws: CoordinatorError.self) { try JobStore(path: copy, readOnly: true).results() }
    store.foldLog()
    try FileManager.default.removeItem(atPath: copy)
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    #expect(try JobStore(path: copy, readOnly: true).results() == [fit(1, 2)])
    try withExtendedLifetime(store) { try store.store(fit(1, 3)) }
  }

  /// Its lock's name is longer than a path may be, its own is not.
  @Test func ofAJobDirectoryThatCannotBeLockedNothingStays() throws {
    var path = directory.file("job")
    while path.utf8.count < 3_850 { path += "/" + String(repeating: "d", count: 200) }
    path += "/" + String(repeating: "d", count: 4_091 - path.utf8.count)
    let error = #expect(throws: CoordinatorError.self) { try JobDirectory(path) }
    #expect(error?.exitCode == 74)
    #expect(error?.description.hasSuffix("/lock: File name too long") == true)
    #expect(try directory.names() == [])
  }

  @Test func aSecondCoordinatorIsRefused() throws {
    let first = try JobDirectory(directory.path)
    let error = #expect(throws: CoordinatorError.self) { try JobDirectory(directory.path) }
    #expect(error?.exitCode == 75)
    #expect(JobDirectory.isHeld(directory.path))
    withExtendedLifetime(first) {}
  }
}
