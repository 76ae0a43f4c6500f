import CRVQ
import Checkpoint
import Coordinator
import TestSupport
import Testing

@Suite struct PackedCheckTests {
  private static let format = PackedFormat(groupSize: 4, codebookBits: [2], criticalRatio: 0)
  private static let path = "model.layers.0.mlp.up_proj"
  private static let one: UInt16 = 0x3c00
  private static let infinity: UInt16 = 0x7c00

  private let directory: TemporaryDirectory
  private let check = PackedCheck(Self.format, linears: [Self.path: [3, 8]], others: ["norm.weight": [2]])

  init() throws { directory = try TemporaryDirectory() }

  private func linear(rows: Int = 3, path: String = Self.path) throws -> [PackedTensor] {
    try PackedLinear(
      name: path, format: Self.format, rows: rows, columns: 8, codes: [UInt16](repeating: 1, count: 2 * rows),
      criticalCodes: [], codebooks: [UInt16](repeating: Self.one, count: 16),
      scales: [UInt16](repeating: Self.one, count: rows), channelOrder: Array(0..<8)
    ).encoded(prefix: path)
  }

  private func vector(_ name: String, _ values: [UInt16]) -> PackedTensor {
    PackedTensor(
      name: name, type: .float16, shape: [values.count],
      bytes: values.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
  }

  private func file(_ tensors: [PackedTensor]) throws -> String {
    let path = directory.file("packed.safetensors")
    let writer = try SafetensorsWriter(path: path, tensors: tensors.map(\.declaration))
    for tensor in tensors { try writer.append(tensor.bytes, to: tensor.name) }
    try writer.finish()
    return path
  }

  @Test func whatWasAskedForIsTaken() throws {
    try check.run(onFileAt: file(linear()))
    try check.run(onFileAt: file(linear() + [vector("norm.weight", [Self.one, Self.one])]))
  }

  @Test func anythingElseIsRefusedByName() throws {
    let refused = [
      (Array(try linear().dropFirst()), "\(Self.path).codes: there is no such tensor"),
      (try linear(rows: 2), "\(Self.path): shape is [2, 8]; expected [3, 8]"),
      (try linear(path: "model.layers.1.mlp.up_proj"), "\(Self.path).channel_order: there is no such tensor"),
      (try linear() + [vector("bias", [Self.one])], "bias: not asked for"),
      (try linear() + [vector("norm.weight", [Self.one])], "norm.weight: shape is [1]; expected [2]"),
    ]
    for (tensors, reason) in refused {
      let path = try file(tensors)
      let error = #expect(throws: CRVQError.self) { try check.run(onFileAt: path) }
      #expect(error?.message == reason)
    }
  }

  @Test func valuesThatAreNoNumbersAreRefused() throws {
    let path = try file(linear() + [vector("norm.weight", [Self.one, Self.infinity])])
    #expect(throws: CheckpointError.self) { try check.run(onFileAt: path) }
  }

  @Test func bytesOfSomethingElseAreRefused() throws {
    let path = try directory.write("packed.safetensors", "no tensors at all")
    let error = #expect(throws: CheckpointError.self) { try check.run(onFileAt: path) }
    #expect(error?.kind == .malformed)
  }
}
