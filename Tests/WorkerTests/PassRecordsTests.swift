import Foundation
import Messaging
import TestSupport
import Testing
import Worker

@Suite struct PassRecordsTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func store() throws -> ArtifactStore { try ArtifactStore(directory: directory.path, durability: .cache) }

  /// A pass with as many outputs as `texts`, which are put into the store.
  private func pass(
    _ shard: UInt32, _ texts: [String], in store: ArtifactStore
  ) throws -> (WireTaskID, [WireArtifactRef]) {
    let outputs = try texts.map { WireArtifactRef(name: "gram/\($0)", try store.put(Data($0.utf8))) }
    var task = WireTaskID()
    task.kind = .collect
    task.block = 2
    task.shard = shard
    return (task, outputs)
  }

  /// A store with the record of one pass.
  private func recorded(
    _ texts: [String]
  ) throws -> (store: ArtifactStore, records: PassRecords, outputs: [WireArtifactRef]) {
    let store = try store()
    let records = try PassRecords(of: "job", in: store)
    let (task, outputs) = try pass(1, texts, in: store)
    try records.add(task, outputs: outputs)
    return (store, records, outputs)
  }

  private func path(_ shard: Int) -> String { "\(directory.path)/passes/1-2-\(shard)" }

  @Test func theNextProcessFindsThem() throws {
    let first = try store()
    let records = try PassRecords(of: "job", in: first)
    let (one, outputs) = try pass(1, ["a", "b"], in: first)
    try records.add(one, outputs: outputs)
    let (two, others) = try pass(2, ["c"], in: first)
    try records.add(two, outputs: others)
    let found = try PassRecords(of: "job", in: store()).passes
    #expect(found.map(\.task) == [one, two])
    #expect(found.map(\.outputs) == [outputs, others])
  }

  @Test func whatNoRecordNamesIsRemoved() throws {
    let (first, _, _) = try recorded(["a"])
    let copy = try first.put(Data("a copy from elsewhere".utf8))
    let second = try store()
    _ = try PassRecords(of: "job", in: second)
    #expect(!second.contains(copy.digest))
    #expect(second.digests.count == 1)
  }

  @Test func aRecordGoesWithTheLastOfItsOutputs() throws {
    let (store, records, outputs) = try recorded(["a", "b"])
    records.remove([outputs[0].artifact!.digest])
    #expect(records.passes.map(\.outputs) == [[outputs[1]]])
    #expect(try PassRecords(of: "job", in: self.store()).passes.map(\.outputs) == [[outputs[1]]])
    records.remove([outputs[1].artifact!.digest])
    #expect(records.passes == [])
    #expect(!FileManager.default.fileExists(atPath: path(1)))
    #expect(store.digests.isEmpty)
  }

  @Test func recordsOfAnotherJobCountForNothing() throws {
    let (_, records, _) = try recorded(["a"])
    #expect(records.passes.count == 1)
    let second = try store()
    #expect(try PassRecords(of: "another", in: second).passes == [])
    #expect(second.digests == [])
  }

  @Test func aRecordUnderAnotherTasksNameCountsForNothing() throws {
    let (_, records, _) = try recorded(["a"])
    #expect(records.passes.count == 1)
    #expect(rename(path(1), path(3)) == 0)
    #expect(try PassRecords(of: "job", in: store()).passes == [])
  }

  /// Every bit of a record, and every length.
  @Test func damagedRecordsCountForNothing() throws {
    let (first, records, _) = try recorded(["a"])
    #expect(records.passes.count == 1)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path(1)))
    var damaged = (0..<whole.count).map { Data(whole.prefix($0)) }
    for bit in 0..<8 * whole.count {
      var bytes = whole
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      damaged.append(bytes)
    }
    for bytes in damaged {
      try first.put(Data("a".utf8))
      try bytes.write(to: URL(fileURLWithPath: path(1)))
      #expect(try PassRecords(of: "job", in: store()).passes == [])
    }
  }

  @Test func outputsThatAreLostOrCutAreNotListed() throws {
    let (_, _, outputs) = try recorded(["a", "bb", "ccc"])
    #expect(unlink("\(directory.path)/\(outputs[0].artifact!.digest.hex)") == 0)
    #expect(truncate("\(directory.path)/\(outputs[1].artifact!.digest.hex)", 1) == 0)
    #expect(try PassRecords(of: "job", in: store()).passes.map(\.outputs) == [[outputs[2]]])
  }
}
