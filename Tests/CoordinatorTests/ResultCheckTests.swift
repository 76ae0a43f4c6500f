import Coordinator
import Foundation
import Messaging
import TestSupport
import Testing

/// What a coordinator believes of the results that one before it stored.
@Suite struct ResultCheckTests {
  private static let linears = 2

  private let directory: TemporaryDirectory
  private let artifacts: ArtifactStore

  init() throws {
    directory = try TemporaryDirectory()
    artifacts = try ArtifactStore(directory: directory.file("artifacts"), durability: .cache)
  }

  /// - Parameter isThere: whether its artifact is.
  private func row(
    _ kind: StoredResult.Kind, _ block: Int, _ part: Int = 0, isThere: Bool = true, wrongBy: Int = 0
  ) throws -> StoredResult {
    guard kind != .verify else {
      return StoredResult(
        kind: kind, block: block, part: part, digest: nil, size: nil, record: "{}", worker: "w", seconds: 1)
    }
    let artifact = try artifacts.put(Array("\(kind) \(block)/\(part)".utf8))
    if !isThere { try artifacts.remove(artifact.digest) }
    return StoredResult(
      kind: kind, block: block, part: part, digest: artifact.digest.hex, size: Int(artifact.size) + wrongBy,
      record: "{}", worker: "w", seconds: 1)
  }

  /// A block that is done: what it was made of is spent.
  private func tuned(_ block: Int) throws -> [StoredResult] {
    let fits = try (0..<Self.linears).map { try row(.fit, block, $0, isThere: false) }
    return try fits + [row(.merge, block, isThere: false), row(.tune, block), row(.verify, block)]
  }

  /// Steps of a distillation, the last of which is needed.
  private func steps(_ count: Int) throws -> [StoredResult] {
    try (0..<count).map { try row(.update, 0, $0, isThere: $0 == count - 1) }
  }

  /// The row with a column changed, as something that knows SQLite would: the check of it is as it was.
  private func changed(_ row: StoredResult, _ column: Column) throws -> StoredResult {
    let json = try JSONForm.record(row)
    let (old, new): (String, String) =
      switch column {
      case .record: (#""record":"{}""#, #""record":"[]""#)
      case .block: ("\"block\":\(row.block)", "\"block\":7")
      case .part: ("\"part\":\(row.part)", "\"part\":9")
      }
    let result: StoredResult = try JSONForm.value(ofRecord: json.replacing(old, with: new))
    #expect(result != row)
    return result
  }

  enum Column: CaseIterable, Sendable { case record, block, part }

  private func check(_ rows: [StoredResult]) throws -> ResultCheck {
    try ResultCheck(rows, in: artifacts, linears: Self.linears)
  }

  private func reason(_ check: ResultCheck, _ row: StoredResult) -> String? {
    check.lost.first { $0.result == row }?.reason
  }

  @Test func whatIsWholeIsKept() throws {
    let rows = try tuned(0) + tuned(1) + steps(3)
    let check = try check(rows)
    #expect(check.kept == rows)
    #expect(check.lost.isEmpty)
  }

  /// Its row may be another one's now, and what it was made of is spent.
  @Test(arguments: [StoredResult.Kind.fit, .merge, .tune], Column.allCases)
  func aBlockWithAChangedRowIsMadeAgain(kind: StoredResult.Kind, column: Column) throws {
    var rows = try tuned(0)
    let others = try tuned(1)
    let place = try #require(rows.firstIndex { $0.kind == kind })
    rows[place] = try changed(rows[place], column)
    let check = try check(rows + others)
    #expect(check.kept == others)
    #expect(check.lost.count == rows.count)
    for row in rows { #expect(reason(check, row) != nil, "\(row.kind)") }
    let block = rows[place].block
    let expected = "\(kind.rawValue) of block \(block) is made again: its row in the job database has changed"
    #expect(reason(check, rows[place]) == expected)
    let verified = try #require(rows.last)
    #expect(reason(check, verified) == "block 0 is verified again")
  }

  @Test(arguments: Column.allCases) func aVerificationWithAChangedRowIsMadeAgain(column: Column) throws {
    let made = Array(try tuned(0).dropLast())
    let verified = try changed(row(.verify, 0), column)
    let check = try check(made + [verified])
    #expect(check.kept == made)
    let expected = "verify of block \(verified.block) is made again: its row in the job database has changed"
    #expect(check.lost.map(\.result) == [verified])
    #expect(reason(check, verified) == expected)
  }

  /// What was verified behind it has to be verified again; the blocks stay.
  @Test(arguments: 0..<3, Column.allCases)
  func aDistillationWithAChangedRowBeginsAgain(step: Int, column: Column) throws {
    let blocks = try tuned(0) + tuned(1)
    var steps = try steps(3)
    steps[step] = try changed(steps[step], column)
    let check = try check(blocks + steps)
    #expect(check.kept == blocks.filter { $0.kind != .verify })
    #expect(check.lost.count == 5)
    let last = try #require(steps.max { $0.part < $1.part })
    #expect(reason(check, last) == "the distillation begins again: rows in the job database have changed")
    for row in steps where row != last { #expect(reason(check, row) == "step \(row.part) of it is made again") }
    for row in blocks where row.kind == .verify {
      #expect(reason(check, row) == "block \(row.block) is verified again")
    }
  }

  @Test func aDistillationBeginsAgainWithItsLastArtifactOrABlock() throws {
    let block = try tuned(0)
    let lost = try [row(.update, 0, 0), row(.update, 0, 1, isThere: false)]
    let first = try check(block + lost)
    #expect(first.kept == block.filter { $0.kind != .verify })
    #expect(reason(first, lost[1])?.hasPrefix("the distillation begins again: artifact ") == true)
    // The step before it was spent.
    let steps = try steps(2)
    #expect(try check(block + steps).kept == block + steps)
    let tune = try row(.tune, 0, isThere: false)
    let second = try check(block.filter { $0.kind == .fit || $0.kind == .merge } + [tune] + steps)
    #expect(second.kept.isEmpty)
    #expect(reason(second, steps[1]) == "the distillation begins again: a block is made again")
  }

  @Test func ofABlockThatIsNotMergedTheLostFitsAreMadeAgain() throws {
    let kept = try row(.fit, 0, 0)
    let missing = try row(.fit, 0, 1, isThere: false)
    let check = try check([kept, missing])
    #expect(check.kept == [kept])
    #expect(check.lost.map(\.result) == [missing])
    #expect(check.lost.first?.reason.hasPrefix("fit of block 0 is made again: artifact ") == true)
  }

  @Test func anArtifactOfAnotherSizeIsLost() throws {
    let row = try row(.fit, 3, 1, wrongBy: 1)
    let check = try check([row])
    #expect(check.kept.isEmpty)
    #expect(reason(check, row)?.hasPrefix("fit of block 3 is made again: ") == true)
    #expect(reason(check, row)?.hasSuffix(": has 7 bytes, expected 8") == true)
  }

  @Test func aDamagedArtifactIsLostAndRemoved() throws {
    let made = try tuned(0).filter { $0.kind != .verify }
    let tune = try #require(made.last)
    let digest = try #require(tune.digest)
    try directory.write("artifacts/\(digest)", "something else")
    let check = try check(made)
    #expect(check.kept.isEmpty)
    #expect(reason(check, tune)?.contains("corrupted and removed") == true)
    let names = try directory.names(in: "artifacts")
    #expect(!names.contains(digest))
  }

  /// A coordinator died after a tune was stored and before the merged block was removed.
  @Test func whatATuneWasMadeOfIsKeptWhereItIsThere() throws {
    let fits = try (0..<Self.linears).map { try row(.fit, 0, $0, isThere: false) }
    let merge = try row(.merge, 0)
    let tune = try row(.tune, 0, isThere: false)
    let verify = try row(.verify, 0)
    let check = try check(fits + [merge, tune, verify])
    #expect(check.kept == fits + [merge])
    #expect(check.lost.map(\.result) == [tune, verify])
    #expect(reason(check, verify) == "block 0 is verified again")
  }

  /// A row whose key has changed is no longer found under it: here it is gone altogether.
  @Test(arguments: [0, 2]) func aResultWithoutThoseItWasMadeOfIsLost(missing: Int) throws {
    var rows = try tuned(0)
    rows.remove(at: missing)
    let check = try check(rows)
    #expect(check.kept.isEmpty)
    let tune = try #require(rows.first { $0.kind == .tune })
    #expect(reason(check, tune) == "tune of block 0 is made again: what it was made of is made again")
  }

  @Test func aDigestThatIsNoneIsRefused() {
    let row = StoredResult(
      kind: .fit, block: 0, part: 0, digest: "../x", size: 1, record: "{}", worker: "w", seconds: 1)
    #expect(throws: CoordinatorError.self) { try check([row]) }
  }

  @Test func neededIsWhatNothingThatIsStoredWasMadeOf() throws {
    let fitted = try [row(.fit, 0, 0), row(.fit, 0, 1)]
    let merged = try [row(.fit, 1, 0), row(.fit, 1, 1), row(.merge, 1)]
    let steps = try [row(.update, 0, 0), row(.update, 0, 10), row(.update, 0, 9)]
    let tune = try row(.tune, 2)
    let rows = try fitted + merged + [row(.fit, 2, 0), row(.merge, 2), tune, row(.verify, 2)] + steps
    let needed = fitted + [merged[2], tune, steps[1]]
    #expect(StoredResult.neededDigests(rows) == Set(needed.compactMap(\.digest)))
    #expect(StoredResult.neededDigests([]).isEmpty)
  }
}
