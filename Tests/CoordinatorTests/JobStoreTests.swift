import Coordinator
import Foundation
import Testing

@Suite struct JobStoreTests {
  private func temporaryDirectory() throws -> String {
    let path = NSTemporaryDirectory() + "crvq-store-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private func fit(_ block: Int, _ part: Int) -> StoredResult {
    StoredResult(
      kind: .fit, block: block, part: part, digest: String(repeating: "a", count: 64), size: 5, record: "{}",
      worker: "w", seconds: 1)
  }

  @Test func resultsSurviveReopening() throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = JobDirectory.databasePath(in: directory)
    try JobStore(path: path).store(fit(1, 2))
    #expect(try JobStore(path: path).results() == [fit(1, 2)])
  }

  @Test func storingAResultTwiceKeepsOne() throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let store = try JobStore(path: JobDirectory.databasePath(in: directory))
    try store.store(fit(0, 0))
    try store.store(fit(0, 0))
    #expect(try store.results().count == 1)
  }

  @Test func aDamagedDatabaseIsNamedAndRefused() throws {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = JobDirectory.databasePath(in: directory)
    try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: CoordinatorError.self) { try JobStore(path: path) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains(path) == true)
  }

  @Test func aSecondCoordinatorIsRefused() throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try JobDirectory(path)
    let error = #expect(throws: CoordinatorError.self) { try JobDirectory(path) }
    #expect(error?.exitCode == 75)
    #expect(JobDirectory.isHeld(path))
    withExtendedLifetime(first) {}
  }
}
