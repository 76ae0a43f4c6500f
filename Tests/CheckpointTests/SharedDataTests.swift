import Checkpoint
import Foundation
import Testing

/// A real file, if it is at hand: in `CRVQ_SHARED`, or in `shared` beside the repository.
private func shared(_ name: String) -> String? {
  let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  let beside = repository.deletingLastPathComponent().appendingPathComponent("shared").path
  let path = (ProcessInfo.processInfo.environment["CRVQ_SHARED"] ?? beside) + "/" + name
  return FileManager.default.fileExists(atPath: path) ? path : nil
}

private let calibrationPath = shared("data/calibration.safetensors")
private let referencePath = shared("reference/block0.safetensors")

@Suite struct SharedDataTests {
  @Test(.enabled(if: calibrationPath != nil, "data/calibration.safetensors is not there: set CRVQ_SHARED"))
  func calibrationTokens() throws {
    let path = try #require(calibrationPath)
    let tokens = try TokenFile(path: path, vocabularySize: 49152)
    #expect(tokens.sequenceCount == 267 && tokens.length == 1024)
    #expect(tokens.sequence(0).prefix(4) == [617, 761, 4049, 455])
    #expect(throws: CheckpointError.self) { try TokenFile(path: path, vocabularySize: 100) }
  }

  @Test(.enabled(if: referencePath != nil, "reference/block0.safetensors is not there: set CRVQ_SHARED"))
  func referenceBlock() throws {
    let file = try SafetensorsFile(path: #require(referencePath))
    let gram = try file.matrix("gram.attn_in", rows: 576, columns: 576)
    #expect(gram[3, 5] == gram[5, 3])
    #expect(try file.floats("weight.mlp.down_proj", requireFinite: true).count == 576 * 1536)
  }
}
