import Foundation
import Messaging
import TestSupport
import Testing

@Suite struct PiecewiseArtifactTests {
  private let directory: TemporaryDirectory
  private let whole: Data
  private let artifact: PiecewiseArtifact

  init() throws {
    directory = try TemporaryDirectory()
    let path = directory.path + "/file"
    let file = patterned(1000)
    try file.write(to: URL(fileURLWithPath: path))
    let memory = Array(patterned(37, seed: 2))
    let opened = try OpenFile(path)
    whole = Data(memory) + file[100..<350] + file[900..<1000] + Data(memory) + file[0..<1]
    artifact = PiecewiseArtifact(
      Artifact(digest: .of(whole), size: UInt64(whole.count)),
      [
        .memory(memory), .file(opened, 100..<350), .file(opened, 500..<500), .file(opened, 900..<1000), .memory(memory),
        .memory([]), .file(opened, 0..<1),
      ])
  }

  private func read(_ count: Int, at offset: Int) throws -> Data {
    var data = Data(count: count)
    try data.withUnsafeMutableBytes { try artifact.read(into: $0, at: UInt64(offset)) }
    return data
  }

  @Test func anyRangeIsRead() throws {
    for offset in 0...whole.count {
      for count in [0, 1, 2, 36, 37, 38, 100, 300, whole.count] where offset + count <= whole.count {
        #expect(try read(count, at: offset) == whole[offset..<offset + count])
      }
    }
  }

  @Test func aRangeBeyondTheEndIsRefused() throws {
    #expect(throws: ArtifactError.self) { try read(2, at: whole.count - 1) }
    #expect(throws: ArtifactError.self) { try read(1, at: whole.count + 5) }
  }

  @Test func aFileCutShortMeanwhileIsRefused() throws {
    #expect(truncate(directory.path + "/file", 300) == 0)
    #expect(throws: ArtifactError.self) { try read(whole.count, at: 0) }
    #expect(try read(37 + 200, at: 0) == whole[0..<237])
  }
}
