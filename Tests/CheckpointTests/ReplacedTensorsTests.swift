import Checkpoint
import Numerics
import TestSupport
import Testing

/// A file with some of its tensors in another: which of the two each answer is from.
@Suite struct ReplacedTensorsTests {
  private let directory: TemporaryDirectory
  private let original: SafetensorsFile
  private let replacement: SafetensorsFile

  /// `a` and `b` are in the one, `b` and `c` in the other, where `b` has another type and shape.
  init() throws {
    directory = try TemporaryDirectory()
    let paths = [directory.file("original.safetensors"), directory.file("replacement.safetensors")]
    let first = try SafetensorsWriter(
      path: paths[0],
      tensors: [
        TensorDeclaration(name: "a", elementType: .float32, shape: [2]),
        TensorDeclaration(name: "b", elementType: .float32, shape: [3]),
      ])
    try first.append([1, .nan] as [Float], to: "a")
    try first.append([3, 4, .infinity] as [Float], to: "b")
    try first.finish()
    let second = try SafetensorsWriter(
      path: paths[1],
      tensors: [
        TensorDeclaration(name: "b", elementType: .float16, shape: [2, 1]),
        TensorDeclaration(name: "c", elementType: .uint8, shape: [3]),
      ])
    try second.append(Half.narrow([5, 6]), to: "b")
    try second.append([7, 8, 9] as [UInt8], to: "c")
    try second.finish()
    (original, replacement) = (try SafetensorsFile(path: paths[0]), try SafetensorsFile(path: paths[1]))
  }

  @Test func aTensorOfTheReplacementCounts() throws {
    let tensors = ReplacedTensors(original, by: replacement)
    #expect(tensors.tensorNames == ["a", "b", "c"])
    #expect(["a", "b", "c"].map { tensors.shape(of: $0) } == [[2], [2, 1], [3]])
    let files = [original.path, replacement.path, replacement.path]
    #expect(["a", "b", "c"].map { tensors.path(of: $0) } == files)
    #expect(try tensors.info("b") == replacement.info("b") && tensors.info("a") == original.info("a"))
    #expect(try tensors.floats("b") == [5, 6] && tensors.floats("a")[0] == 1)
    #expect(try tensors.finiteFloats("b") == [5, 6])
    #expect(try tensors.floats("b", rows: 1..<2) == [6])
    #expect(try tensors.withBytes("c") { Array($0) } == [7, 8, 9])
    var chunks: [UInt8] = []
    try tensors.forEachChunk(of: "b") { chunks += $0 }
    #expect(chunks == bytes(Half.narrow([5, 6])))
    #expect(try tensors.declaration("b") == TensorDeclaration(name: "b", elementType: .float16, shape: [2, 1]))
  }

  @Test func whatIsWrongIsOfTheFileThatHasTheTensor() throws {
    let tensors = ReplacedTensors(original, by: replacement)
    expectError(.malformed, at: original.path, "tensor a", "[1]") { _ = try tensors.finiteFloats("a") }
    expectError(.mismatch, at: replacement.path, "tensor c", "U8") { _ = try tensors.floats("c") }
    // One of neither is missed where all the others are from.
    #expect(tensors.shape(of: "d") == nil)
    expectError(.missing, at: original.path, "no tensor d") { _ = try tensors.info("d") }
  }

  @Test func withoutAReplacementItIsTheOriginal() throws {
    let tensors = ReplacedTensors(original, by: nil)
    #expect(tensors.tensorNames == ["a", "b"] && tensors.shape(of: "b") == [3] && tensors.shape(of: "c") == nil)
    #expect(try tensors.floats("b") == [3, 4, .infinity])
    expectError(.malformed, at: original.path, "tensor b", "[2]") { _ = try tensors.finiteFloats("b") }
  }
}
