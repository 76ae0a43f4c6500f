import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointDirectoryTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Two shards with a matrix each.
  private func writeShards() throws {
    for (number, name) in [(1, "a"), (2, "b")] {
      let writer = try SafetensorsWriter(
        path: directory.file("model-0000\(number)-of-00002.safetensors"),
        tensors: [TensorDeclaration(name: name, elementType: .float32, shape: [2, 2])])
      try writer.append((0..<4).map { Float(10 * number + $0) }, to: name)
      try writer.finish()
    }
  }

  private func writeIndex(_ map: String) throws {
    try directory.write("model.safetensors.index.json", "{\"metadata\":{\"total_size\":32},\"weight_map\":{\(map)}}")
  }

  private let goodMap = "\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\""

  @Test func singleFile() throws {
    try FileManager.default.copyItem(
      atPath: goldenDirectory + "/golden.safetensors", toPath: directory.file("model.safetensors"))
    let model = try Checkpoint(directory: directory.path)
    #expect(model.tensorNames.count == 11 && model.tensorNames == model.tensorNames.sorted())
    #expect(model.shape(of: "f32") == [2, 3] && model.shape(of: "x") == nil)
    #expect(try model.matrix("f32", rows: 2, columns: 3)[1, 1] == 65504)
  }

  @Test func shardedFiles() throws {
    try writeShards()
    try writeIndex(goodMap)
    let model = try Checkpoint(directory: directory.path + "/")
    #expect(model.tensorNames == ["a", "b"])
    #expect(try model.floats("a") == [10, 11, 12, 13] && model.floats("b", rows: 1..<2) == [22, 23])
    #expect(try model.withBytes("b") { $0.count } == 16)
    expectError(.missing, at: directory.path + "/", "no tensor c") { _ = try model.floats("c") }
    expectError(
      .mismatch, at: directory.file("model-00002-of-00002.safetensors"), "tensor b: expected shape [4, 1], got [2, 2]"
    ) { _ = try model.matrix("b", rows: 4, columns: 1) }
  }

  @Test func symbolicLinksToFilesElsewhereAreFollowed() throws {
    // The cache of huggingface_hub keeps the files apart and links to them.
    try FileManager.default.createSymbolicLink(
      atPath: directory.file("model.safetensors"), withDestinationPath: goldenDirectory + "/golden.safetensors")
    #expect(try Checkpoint(directory: directory.path).shape(of: "f32") == [2, 3])
  }

  @Test func missingDirectory() throws {
    let path = directory.file("none")
    expectError(.missing, at: path, "no such directory") { _ = try Checkpoint(directory: path) }
  }

  @Test func fileInsteadOfADirectory() throws {
    let path = try directory.write("model", "x")
    expectError(.malformed, at: path, "expected a model directory, got a file") { _ = try Checkpoint(directory: path) }
  }

  @Test func emptyDirectory() throws {
    expectError(.missing, at: directory.path, "model.safetensors or model.safetensors.index.json") {
      _ = try Checkpoint(directory: directory.path)
    }
  }

  @Test func missingShard() throws {
    try writeShards()
    try writeIndex(goodMap)
    let shard = directory.file("model-00002-of-00002.safetensors")
    try FileManager.default.removeItem(atPath: shard)
    expectError(.missing, at: shard, "model.safetensors.index.json lists it") {
      _ = try Checkpoint(directory: directory.path)
    }
  }

  @Test func tensorListedButNotInItsShard() throws {
    try writeShards()
    try writeIndex(goodMap + ",\"c\":\"model-00001-of-00002.safetensors\"")
    expectError(.missing, at: directory.file("model-00001-of-00002.safetensors"), "no tensor c") {
      _ = try Checkpoint(directory: directory.path)
    }
  }

  @Test(arguments: [
    "../model-00001-of-00002.safetensors", "/etc/passwd", "/tmp/x.safetensors", "sub/x.safetensors", "..", ".", "",
    ".x.safetensors", "..\\\\x.safetensors", "x\\u0000.safetensors", "x.bin",
  ]) func shardNameThatLeavesTheDirectory(name: String) throws {
    try writeShards()
    try writeIndex("\"a\":\"\(name)\"")
    expectError(.malformed, at: directory.file("model.safetensors.index.json"), "a", "a file of this directory") {
      _ = try Checkpoint(directory: directory.path)
    }
  }

  @Test(arguments: [
    "", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}", "{\"weight_map\":{\"a\":1}}",
    "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}",
  ]) func malformedIndex(text: String) throws {
    let path = try directory.write("model.safetensors.index.json", text)
    expectError(.malformed, at: path) { _ = try Checkpoint(directory: directory.path) }
  }

  @Test func malformedShardIsNamed() throws {
    try writeShards()
    try writeIndex(goodMap)
    let shard = try directory.write("model-00002-of-00002.safetensors", [1, 2, 3])
    expectError(.malformed, at: shard, "3 bytes") { _ = try Checkpoint(directory: directory.path) }
  }

  @Test func nonFiniteWeightsAreRefused() throws {
    let path = directory.file("model.safetensors")
    let writer = try SafetensorsWriter(
      path: path, tensors: [TensorDeclaration(name: "w", elementType: .float16, shape: [2, 2])])
    try writer.append([Float16(1), 2, .nan, 4], to: "w")
    try writer.finish()
    expectError(.malformed, at: path, "tensor w: expected finite values, got nan at [1, 0]") {
      _ = try Checkpoint(directory: directory.path).matrix("w", rows: 2, columns: 2)
    }
  }
}
