import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct ShardedWriterTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func declare(_ name: String, _ count: Int) -> TensorDeclaration {
    TensorDeclaration(name: name, elementType: .uint8, shape: [count])
  }

  @Test func planFillsFilesInOrder() throws {
    let tensors = [
      declare("a", 4), declare("b", 6), declare("c", 1), declare("d", 25), declare("e", 0), declare("f", 10),
    ]
    let plan = try ShardPlan(tensors: tensors, shardByteCountMax: 10)
    #expect(plan.shards.map { $0.tensors.map(\.name) } == [["a", "b"], ["c"], ["d"], ["e", "f"]])
    #expect(plan.shards.map(\.fileName) == (1...4).map { "model-0000\($0)-of-00004.safetensors" })
    #expect(plan.byteCount == 46)
    #expect(try ShardPlan(tensors: []).shards.map(\.fileName) == ["model-00001-of-00001.safetensors"])
  }

  @Test func planRefusesWhatCannotBeWritten() throws {
    let index = "model.safetensors.index.json"
    expectError(.mismatch, at: index, "tensor a", "twice") {
      _ = try ShardPlan(tensors: [declare("a", 1), declare("a", 1)])
    }
    expectError(.mismatch, at: index, "tensor b", "overflows") {
      _ = try ShardPlan(tensors: [declare("a", Int.max), declare("b", 1)])
    }
    expectError(.mismatch, at: index, "tensor a", "overflows") { _ = try ShardPlan(tensors: [declare("a", -1)]) }
  }

  @Test func indexText() throws {
    let plan = try ShardPlan(tensors: [declare("b", 4), declare("a", 6)], shardByteCountMax: 5)
    #expect(
      plan.indexJSON == """
        {
          "metadata": {
            "total_size": 10
          },
          "weight_map": {
            "a": "model-00002-of-00002.safetensors",
            "b": "model-00001-of-00002.safetensors"
          }
        }

        """)
  }

  @Test(arguments: [1, 7, 16, 1_000]) func modelComesBack(shardByteCountMax: Int) throws {
    let sizes = [5, 0, 16, 3, 3, 9, 1, 0]
    let tensors = sizes.enumerated().map { declare("t\($0.offset)", $0.element) }
    func data(_ index: Int) -> [UInt8] { (0..<sizes[index]).map { UInt8(10 * index + $0) } }
    let plan = try ShardPlan(tensors: tensors, shardByteCountMax: shardByteCountMax)
    let writer = try ShardedWriter(directory: directory.path, plan: plan)
    for index in sizes.indices {
      // In two pieces.
      try writer.append(Array(data(index).prefix(2)), to: "t\(index)")
      try writer.append(Array(data(index).dropFirst(2)), to: "t\(index)")
      #expect(try !directory.names().contains("model.safetensors.index.json"))
    }
    try writer.finish()
    #expect(try directory.names() == plan.shards.map(\.fileName) + ["model.safetensors.index.json"])
    let model = try Checkpoint(directory: directory.path)
    #expect(model.tensorNames == tensors.map(\.name))
    #expect(model.shards.allSatisfy { $0.metadata == ["format": "pt"] })
    for index in sizes.indices { #expect(try model.withBytes("t\(index)") { Array($0) } == data(index)) }
  }

  @Test func copiesOfTensors() throws {
    try FileManager.default.copyItem(
      atPath: goldenDirectory + "/golden.safetensors", toPath: directory.file("model.safetensors"))
    let source = try Checkpoint(directory: directory.path)
    let copy = try TemporaryDirectory()
    let tensors = try source.tensorNames.map { name in
      let info = try source.info(name)
      return TensorDeclaration(name: name, elementType: info.elementType, shape: info.shape)
    }
    let writer = try ShardedWriter(directory: copy.path, plan: ShardPlan(tensors: tensors, shardByteCountMax: 20))
    for name in source.tensorNames { try writer.copy(name, from: source) }
    try writer.finish()
    let model = try Checkpoint(directory: copy.path)
    for name in source.tensorNames {
      #expect(try model.withBytes(name) { Array($0) } == source.withBytes(name) { Array($0) })
      #expect(model.shape(of: name) == source.shape(of: name))
    }

    let other = try ShardPlan(tensors: [TensorDeclaration(name: "f32", elementType: .float32, shape: [3, 2])])
    expectError(.mismatch, at: directory.file("model.safetensors"), "tensor f32: F32 of shape [2, 3]") {
      try ShardedWriter(directory: copy.path, plan: other).copy("f32", from: source)
    }
  }

  @Test func narrowedTensors() throws {
    try FileManager.default.copyItem(
      atPath: goldenDirectory + "/golden.safetensors", toPath: directory.file("model.safetensors"))
    let source = try Checkpoint(directory: directory.path)
    let copy = try TemporaryDirectory()
    let names = ["empty", "f16", "f32", "scalar"]
    let tensors = try names.map { name in
      TensorDeclaration(name: name, elementType: .float16, shape: try source.info(name).shape)
    }
    let writer = try ShardedWriter(directory: copy.path, plan: ShardPlan(tensors: tensors))
    for name in names { try writer.narrow(name, from: source) }
    try writer.finish()
    let model = try Checkpoint(directory: copy.path)
    let expected = try source.withBytes("f16") { Array($0) }
    for name in ["f16", "f32"] { #expect(try model.withBytes(name) { Array($0) } == expected) }
    #expect(try model.floats("scalar") == [0.5])
    #expect(model.shape(of: "empty") == [0, 4])
  }

  @Test func narrowedTensorsOfNoElements() throws {
    // The product of the others is beyond 64 bits.
    let shape = [0, 1 << 40, 1 << 40]
    let original = try ShardedWriter(
      directory: directory.path,
      plan: ShardPlan(tensors: [TensorDeclaration(name: "a", elementType: .float32, shape: shape)]))
    try original.finish()
    let copy = try TemporaryDirectory()
    let writer = try ShardedWriter(
      directory: copy.path,
      plan: ShardPlan(tensors: [TensorDeclaration(name: "a", elementType: .float16, shape: shape)]))
    try writer.narrow("a", from: Checkpoint(directory: directory.path))
    try writer.finish()
    #expect(try Checkpoint(directory: copy.path).shape(of: "a") == shape)
  }

  @Test func whatBinary16HasNotIsNotNarrowed() throws {
    let shape = [2, 3]
    let original = try ShardedWriter(
      directory: directory.path,
      plan: ShardPlan(tensors: [TensorDeclaration(name: "a", elementType: .float32, shape: shape)]))
    try original.append([Float](arrayLiteral: 65519, -65519, 0, 1, -65520, 2), to: "a")
    try original.finish()
    let source = try Checkpoint(directory: directory.path)
    let copy = try TemporaryDirectory()
    let writer = try ShardedWriter(
      directory: copy.path,
      plan: ShardPlan(tensors: [TensorDeclaration(name: "a", elementType: .float16, shape: shape)]))
    expectError(.mismatch, at: source.path(of: "a"), "tensor a: -65520.0 at [1, 1]", "65504") {
      try writer.narrow("a", from: source)
    }
  }

  @Test func incompleteModelHasNoIndex() throws {
    let plan = try ShardPlan(tensors: [declare("a", 4), declare("b", 6)], shardByteCountMax: 5)
    let writer = try ShardedWriter(directory: directory.path, plan: plan)
    try writer.append([UInt8](repeating: 0, count: 3), to: "a")
    expectError(.mismatch, at: directory.file(plan.shards[0].fileName), "incomplete") { try writer.finish() }
    try writer.append([UInt8](repeating: 0, count: 1), to: "a")
    try writer.append([UInt8](repeating: 0, count: 5), to: "b")
    expectError(.mismatch, at: directory.file(plan.shards[1].fileName), "tensor b") { try writer.finish() }
    #expect(try directory.names() == [plan.shards[0].fileName])
  }
}
