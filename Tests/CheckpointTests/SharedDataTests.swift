import Checkpoint
import Foundation
import Testing

/// Real files, where they are at hand: `CRVQ_SHARED`, or `shared` beside the repository.
private let shared: String? = {
  let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  let beside = repository.deletingLastPathComponent().appendingPathComponent("shared").path
  let path = ProcessInfo.processInfo.environment["CRVQ_SHARED"] ?? beside
  return FileManager.default.fileExists(atPath: path + "/data/calibration.safetensors") ? path : nil
}()

@Suite(.enabled(if: shared != nil, "the shared data is not there: set CRVQ_SHARED")) struct SharedDataTests {
  @Test func calibrationTokens() throws {
    let path = try #require(shared) + "/data/calibration.safetensors"
    let tokens = try TokenFile(path: path, vocabularySize: 49152)
    #expect(tokens.sequenceCount == 267 && tokens.length == 1024)
    #expect(tokens.sequence(0).prefix(4) == [617, 761, 4049, 455])
    #expect(throws: CheckpointError.self) { try TokenFile(path: path, vocabularySize: 100) }
  }

  @Test func referenceBlock() throws {
    let file = try SafetensorsFile(path: #require(shared) + "/reference/block0.safetensors")
    let gram = try file.matrix("gram.attn_in", rows: 576, columns: 576)
    #expect(gram[3, 5] == gram[5, 3])
    #expect(try file.floats("weight.mlp.down_proj", requireFinite: true).count == 576 * 1536)
  }
}
