import Coordinator
import Foundation
import TestSupport
import Testing

/// Job databases with random damage: each is read, or refused with a ``CoordinatorError``, never a crash. No row passes
/// for another one than was written, but where the damage also took its check, as if an earlier version had stored it.
/// `CRVQ_SEED` repeats a run; `CRVQ_FUZZ=1000000` tries a hundredth of that, as `scripts/test --full` does.
@Suite struct DamagedDatabaseTests {
  private let cases = max(200, TestRun.damagedInputs(usually: 0) / 100)

  /// What a database has when nothing has happened to it.
  private struct Original {
    let bytes: [UInt8]
    let job: [String]
    /// By block and part.
    let results: [[Int]: StoredResult]
  }

  /// A database with a job, results and their history, all of it in the one file.
  private func whole(_ directory: TemporaryDirectory) throws -> Original {
    let path = directory.file("whole.sqlite")
    let job: JobRecord
    let results: [StoredResult]
    do {
      let store = try JobStore(path: path)
      try store.create(JobRecord(name: "job", options: "{}", modelDigest: "a", tokensDigest: "b"))
      for block in 0..<20 {
        for part in 0..<7 {
          try store.store(
            StoredResult(
              kind: .fit, block: block, part: part, digest: String(repeating: "a", count: 64), size: 5,
              record: "{\"relativeError\":0.1}", worker: "w", seconds: 1))
        }
      }
      job = try #require(try store.job())
      results = try store.results()
    }
    return Original(
      bytes: try directory.bytes("whole.sqlite"), job: content(job),
      results: Dictionary(uniqueKeysWithValues: results.map { ([$0.block, $0.part], $0) }))
  }

  /// What the row of the job says.
  private func content(_ job: JobRecord) -> [String] {
    [
      job.name, job.options, job.modelDigest, job.tokensDigest, "\(job.nextLease)", job.endpoint ?? "none",
      "\(job.seconds)", job.state.rawValue,
    ]
  }

  /// The same row with a check of what it says.
  private func content(_ row: StoredResult) -> StoredResult {
    StoredResult(
      kind: row.kind, block: row.block, part: row.part, digest: row.digest, size: row.size, record: row.record,
      worker: row.worker, seconds: row.seconds)
  }

  private func damage(_ bytes: inout [UInt8], _ chance: inout SplitMix) {
    for _ in 0..<Int.random(in: 1...4, using: &chance) {
      // Half of it where SQLite keeps its own books: the header, and the beginnings of pages.
      let page = Int.random(in: 0..<max(1, bytes.count / 4096), using: &chance) * 4096
      let place =
        Bool.random(using: &chance)
        ? page + Int.random(in: 0..<128, using: &chance) : Int.random(in: 0..<max(1, bytes.count), using: &chance)
      guard place < bytes.count else { continue }
      switch Int.random(in: 0..<6, using: &chance) {
      case 0, 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &chance)
      case 2: bytes[place] = .random(in: .min ... .max, using: &chance)
      case 3: for index in place..<min(place + 16, bytes.count) { bytes[index] = 0xFF }
      case 4 where place > 0: bytes.removeSubrange(place...)
      default:
        let from = Int.random(in: 0..<bytes.count, using: &chance)
        for index in 0..<32 where place + index < bytes.count && from + index < bytes.count {
          bytes[place + index] = bytes[from + index]
        }
      }
    }
  }

  @Test func eachIsReadOrRefused() throws {
    let directory = try TemporaryDirectory(inMemory: true)
    let original = try whole(directory)
    print("damaged databases: \(cases) inputs, \(TestRun.seedSetting)")
    var (refused, found) = (0, 0)
    for number in 0..<cases {
      var chance = SplitMix(seed: TestRun.seed &+ UInt64(number))
      var bytes = original.bytes
      damage(&bytes, &chance)
      let path = try directory.write("job.sqlite", bytes)
      do {
        let store = try JobStore(path: path)
        try store.checkIntegrity()
        let job = try store.job()
        if let job, job.rowCheck != nil {
          #expect(content(job) == original.job, "\(TestRun.seedSetting), case \(number)")
        }
        let changed = try store.results().filter { $0 != original.results[[$0.block, $0.part]] }
        if changed.contains(where: { !$0.isIntact }) { found += 1 }
        for row in changed where row.isIntact && row.rowCheck != nil {
          #expect(content(row) == original.results[[row.block, row.part]], "\(TestRun.seedSetting), case \(number)")
        }
      } catch is CoordinatorError {
        refused += 1
      } catch {
        Issue.record("\(TestRun.seedSetting), case \(number): \(error)")
      }
      for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
    }
    #expect(refused > cases / 4, "\(refused) of \(cases) were refused, \(TestRun.seedSetting)")
    #expect(refused < cases, "none was as good as new, \(TestRun.seedSetting)")
    #expect(found > 0, "no changed row was left to its check, \(TestRun.seedSetting)")
  }
}
