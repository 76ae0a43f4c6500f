import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsWriterTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("t.safetensors")
  }

  private func declare(_ name: String, _ elementType: ElementType, _ shape: [Int]) -> TensorDeclaration {
    TensorDeclaration(name: name, elementType: elementType, shape: shape)
  }

  /// The golden file's tensors in its order, written by us, are the golden file.
  @Test func bytesAreThoseOfTheReferenceImplementation() throws {
    let golden = try SafetensorsFile(path: goldenDirectory + "/golden.safetensors")
    let order = ["i64", "empty", "f32", "scalar", "u32", "i32", "bf16", "f16", "u16", "näme \"quoted\"\\", "u8"]
    let tensors = try order.map { name in
      let info = try golden.info(name)
      return declare(name, info.elementType, info.shape)
    }
    let writer = try SafetensorsWriter(path: path, tensors: tensors, metadata: golden.metadata)
    for name in order { try golden.withBytes(name) { try writer.append($0, to: name) } }
    #expect(try directory.names() != ["t.safetensors"], "the file has its name before it is finished")
    try writer.finish()
    #expect(try directory.names() == ["t.safetensors"])
    #expect(try directory.bytes("t.safetensors") == [UInt8](Data(contentsOf: URL(fileURLWithPath: golden.path))))
  }

  @Test func piecesOfAnySize() throws {
    let values = (0..<1000).map(Float.init)
    for size in [1, 3, 4, 1001, 4000] {
      let writer = try SafetensorsWriter(
        path: path, tensors: [declare("a", .float32, [1000]), declare("e", .uint8, [0]), declare("b", .uint8, [2])])
      let data = bytes(values)
      for start in stride(from: 0, to: data.count, by: size) {
        try writer.append(Array(data[start..<min(data.count, start + size)]), to: "a")
      }
      #expect(!writer.isComplete)
      try writer.append([UInt8(7), 8], to: "b")
      #expect(writer.isComplete)
      try writer.finish()
      let file = try SafetensorsFile(path: path)
      #expect(try file.floats("a") == values && file.integers("b") == [7, 8] && file.integers("e") == [])
      #expect(try file.info("a").byteRange.lowerBound % 8 == 0)
    }
  }

  @Test func noTensors() throws {
    try SafetensorsWriter(path: path, tensors: []).finish()
    #expect(try SafetensorsFile(path: path).tensorNames.isEmpty)
  }

  @Test func earlierFileStaysUntilTheNewOneIsFinished() throws {
    try directory.write("t.safetensors", "old")
    do {
      let writer = try SafetensorsWriter(path: path, tensors: [declare("a", .uint8, [2])])
      try writer.append([UInt8(1)], to: "a")
      // Dropped unfinished.
    }
    #expect(try directory.names() == ["t.safetensors"] && directory.bytes("t.safetensors") == Array("old".utf8))
  }

  @Test func tensorOutOfTurn() throws {
    let writer = try SafetensorsWriter(path: path, tensors: [declare("a", .uint8, [1]), declare("b", .uint8, [1])])
    expectError(.mismatch, at: path, "expected tensor a next, got tensor b") { try writer.append([UInt8(1)], to: "b") }
    #expect(try directory.names() == [], "a failed writer leaves a file")
    expectError(.mismatch, at: path, "closed") { try writer.append([UInt8(1)], to: "a") }
    expectError(.mismatch, at: path, "closed") { try writer.finish() }
  }

  @Test func tooManyBytes() throws {
    let writer = try SafetensorsWriter(path: path, tensors: [declare("a", .uint8, [3])])
    try writer.append([UInt8(1)], to: "a")
    expectError(.mismatch, at: path, "tensor a: expected 2 more bytes, got 3") {
      try writer.append([UInt8](repeating: 0, count: 3), to: "a")
    }
    #expect(try directory.names() == [])
  }

  @Test func tooFewBytes() throws {
    let writer = try SafetensorsWriter(path: path, tensors: [declare("a", .uint8, [3]), declare("b", .uint8, [1])])
    try writer.append([UInt8(1), 2], to: "a")
    expectError(.mismatch, at: path, "tensor a: expected 3 bytes, got 2") { try writer.finish() }
    #expect(try directory.names() == [])
  }

  @Test func declarationsNoReaderWouldAccept() throws {
    let cases = [
      [declare("a", .uint8, [1]), declare("a", .uint8, [2])], [declare("__metadata__", .uint8, [1])],
      [declare("a", .int64, [Int.max])], [declare("a", .uint8, [-1])],
      [declare("a", .uint8, [Int.max]), declare("b", .uint8, [Int.max])],
    ]
    for tensors in cases {
      expectError(.mismatch, at: path, "tensor \(tensors.last?.name ?? "")") {
        _ = try SafetensorsWriter(path: path, tensors: tensors)
      }
      #expect(try directory.names() == [])
    }
  }

  @Test func directoryThatDoesNotExist() throws {
    let path = directory.file("none/t.safetensors")
    expectError(.io, at: path, "No such file or directory") { _ = try SafetensorsWriter(path: path, tensors: []) }
  }

  @Test func directoryInTheFilesPlace() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    let writer = try SafetensorsWriter(path: path, tensors: [])
    expectError(.io, at: path, "cannot rename") { try writer.finish() }
    #expect(try directory.names() == ["t.safetensors"])
  }

  @Test(.enabled(if: geteuid() != 0, "the superuser may write anywhere")) func directoryWithoutPermission() throws {
    chmod(directory.path, 0o555)
    defer { chmod(directory.path, 0o755) }
    expectError(.io, at: path, "Permission denied") { _ = try SafetensorsWriter(path: path, tensors: []) }
  }
}
