import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct ModelManifestTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Names in the order of the file; a block's tensors are not side by side.
  private let tensors: [(name: String, count: Int)] = [
    ("layers.1.b", 5), ("norm", 3), ("layers.0.a", 8), ("layers.10.a", 2), ("layers.1.a", 4), ("embed", 6),
  ]

  private func values(_ name: String, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: Int(name.utf8.reduce(0) { $0 &+ $1 }) + $0) }
  }

  private func write(to name: String, shardByteCountMax: Int) throws -> Checkpoint {
    let path = directory.file(name)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let declared = tensors.map { TensorDeclaration(name: $0.name, elementType: .uint8, shape: [$0.count]) }
    let writer = try ShardedWriter(
      directory: path, plan: ShardPlan(tensors: declared, shardByteCountMax: shardByteCountMax))
    for (name, count) in tensors { try values(name, count).withUnsafeBytes { try writer.append($0, to: name) } }
    try writer.finish()
    return try Checkpoint(directory: path)
  }

  private func block(_ name: String) -> Int? {
    let words = name.split(separator: ".")
    return words.count == 3 ? Int(words[1]) : nil
  }

  private func bytes(_ part: ModelPart, from model: Checkpoint) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try part.forEachChunk(from: model) { bytes += Array($0) }
    return bytes
  }

  @Test func partsAreTheSameHoweverTheModelIsSpreadOverFiles() throws {
    let whole = try write(to: "whole", shardByteCountMax: 1000)
    let spread = try write(to: "spread", shardByteCountMax: 8)
    #expect(whole.shards.count == 1 && spread.shards.count > 1)
    let parts = try whole.parts(block: block)
    #expect(parts.map(\.name) == ["block 0", "block 1", "block 10", "embed", "norm"])
    #expect(try spread.parts(block: block) == parts)
    for part in parts {
      #expect(part.fits(whole) && part.fits(spread))
      #expect(try bytes(part, from: whole) == bytes(part, from: spread))
    }
  }

  @Test func aPartIsASafetensorsFile() throws {
    let model = try write(to: "model", shardByteCountMax: 8)
    for part in try model.parts(block: block) {
      let content = try bytes(part, from: model)
      #expect(content.count == part.byteCount)
      let file = try SafetensorsFile(path: directory.write("part", content), shownAs: "shown")
      #expect(file.path == "shown" && Set(file.tensorNames) == Set(part.tensors.keys))
      for (name, info) in part.tensors {
        #expect(try file.info(name) == info)
        #expect(try file.withBytes(name) { Array($0) } == values(name, info.shape[0]))
      }
    }
  }

  @Test func aModelOfAnotherShapeDoesNotFit() throws {
    let model = try write(to: "model", shardByteCountMax: 1000)
    func part(_ type: ElementType, _ shape: [Int], _ name: String = "norm") throws -> ModelPart {
      try ModelPart(name: "part", tensors: [TensorDeclaration(name: name, elementType: type, shape: shape)])
    }
    #expect(try part(.uint8, [3]).fits(model))
    #expect(try !part(.uint8, [3, 1]).fits(model))
    #expect(try !part(.float16, [3]).fits(model))
    #expect(try !part(.uint8, [3], "other").fits(model))
  }

  private func manifest() throws -> ModelManifest {
    let parts = try write(to: "model", shardByteCountMax: 8).parts(block: block)
    return ModelManifest(
      config: "{\"a\": 1.0,\n \"b\": \"\\u00e9\"}",
      entries: parts.enumerated().map { .init(part: $1, digest: String(repeating: "\($0)", count: 64)) })
  }

  @Test func textIsReadBack() throws {
    let manifest = try manifest()
    let text = manifest.text
    let read = try Array(text.utf8).withUnsafeBytes { try ModelManifest(parsing: $0, path: "model") }
    #expect(read.config == manifest.config && read.text == text)
    #expect(read.entries.map(\.part) == manifest.entries.map(\.part))
    #expect(read.entries.map(\.digest) == manifest.entries.map(\.digest))
  }

  /// A manifest with two parts that have a tensor of that name.
  private func twice(_ name: String) throws -> String {
    let tensor = TensorDeclaration(name: name, elementType: .uint8, shape: [3])
    let part = try ModelPart(name: "part", tensors: [tensor])
    return ModelManifest(config: "{}", entries: [.init(part: part, digest: "0"), .init(part: part, digest: "1")]).text
  }

  @Test func whatIsNoManifestIsNamed() throws {
    let text = try manifest().text
    func expect(_ piece: String, _ text: String) {
      expectError(.malformed, at: "model", piece) {
        _ = try Array(text.utf8).withUnsafeBytes { try ModelManifest(parsing: $0, path: "model") }
      }
    }
    expect("at byte 0", "")
    expect("expected format", "{}")
    expect("expected format", text.replacingOccurrences(of: "manifest 1", with: "manifest 2"))
    expect("config and parts", "{\"format\":\"crvq model manifest 1\"}")
    expect("without name", text.replacingOccurrences(of: "\"size\"", with: "\"length\""))
    let size = try #require(text.firstMatch(of: #/"size":[0-9]+/#))
    expect("fewer than its header", text.replacing(size.output, with: "\"size\":-9223372036854775808"))
    expect("tensor norm is in two parts", try twice("norm"))
  }
}
