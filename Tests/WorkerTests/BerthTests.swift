import Foundation
import TestSupport
import Testing
import Worker

/// Within one process: the lock belongs to the open file, so another berth is as good as another process.
@Suite struct BerthTests {
  private let parent: TemporaryDirectory
  private var directory: String { parent.file("berths") }

  init() throws { parent = try TemporaryDirectory() }

  private func take(_ worker: UInt8) throws -> Berth {
    try Berth.take(in: directory, for: Data(repeating: worker, count: 16))
  }

  @Test func eachProcessHasItsOwn() throws {
    let berths = try (0..<3).map { try take($0) }
    #expect(Set(berths.map(\.path)).count == 3)
    #expect(berths.allSatisfy { $0.predecessor == nil })
  }

  @Test func oneThatIsFreeIsTakenOverWithItsContents() throws {
    var first: Berth? = try take(1)
    let path = try #require(first?.path)
    let second = try take(2)
    #expect(FileManager.default.createFile(atPath: "\(path)/file", contents: nil))
    first = nil
    let third = try take(3)
    #expect(third.path == path)
    #expect(third.predecessor == Data(repeating: 1, count: 16))
    #expect(FileManager.default.fileExists(atPath: "\(path)/file"))
    #expect(second.path != path)
  }

  @Test func onlyThoseThatNobodyHasAreRemoved() throws {
    var first: Berth? = try take(1)
    let second = try take(2)
    let path = try #require(first?.path)
    first = nil
    Berth.removeIdle(in: directory)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(FileManager.default.fileExists(atPath: second.path))
    second.remove()
    Berth.removeIdle(in: directory)
    #expect(!FileManager.default.fileExists(atPath: directory))
  }

  @Test func whatAllHaveInCommonGoesWithTheLast() throws {
    let berths = try (0..<2).map { try take($0) }
    let common = directory + "/files"
    try FileManager.default.createDirectory(atPath: common + "/more", withIntermediateDirectories: true)
    berths[0].remove()
    #expect(FileManager.default.fileExists(atPath: common))
    berths[1].remove()
    #expect(!FileManager.default.fileExists(atPath: directory))
  }
}
