import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsReadingTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ header: String, _ data: [UInt8]) throws -> SafetensorsFile {
    try SafetensorsFile(path: directory.write("t.safetensors", safetensors(header, dataByteCount: 0) + data))
  }

  @Test func goldenFile() throws {
    let file = try SafetensorsFile(path: goldenDirectory + "/golden.safetensors")
    #expect(file.metadata == ["format": "pt"])
    #expect(
      file.tensorNames == [
        "bf16", "empty", "f16", "f32", "i32", "i64", "näme \"quoted\"\\", "scalar", "u16", "u32", "u8",
      ])
    let values: [Float] = [0, -0.0, 1, -2.5, 65504, 0x1p-24]
    #expect(try file.floats("f32").map(\.bitPattern) == values.map(\.bitPattern))
    #expect(try file.floats("f16").map(\.bitPattern) == values.map(\.bitPattern))
    #expect(try file.floats("bf16") == [1, -2.5, .infinity])
    #expect(try file.integers("i32") == [Int(Int32.min), Int(Int32.max)])
    #expect(try file.integers("i64") == [Int.min, Int.max])
    #expect(try file.integers("u8") == [0, 127, 255])
    #expect(try file.integers("u16") == [65535])
    #expect(try file.integers("u32") == [Int(UInt32.max)])
    #expect(try file.floats("scalar") == [0.5] && file.shape(of: "scalar") == [])
    #expect(try file.floats("empty") == [] && file.shape(of: "empty") == [0, 4])
    #expect(try file.withBytes("näme \"quoted\"\\") { Array($0) } == [7])
    let info = try file.info("f16")
    #expect(info.elementType == .float16 && info.shape == [2, 3] && info.byteRange == 758..<770)
  }

  /// All types of the format, and the bytes that eight elements take.
  private static let types = [
    ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8),
    ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16),
    ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64),
  ]

  /// A file may have tensors whose values are not read; they are copied as they are.
  @Test func everyTypeOfTheFormat() throws {
    #expect(ElementType.allCases.map(\.rawValue).sorted() == Self.types.map(\.0).sorted())
    var entries: [String] = []
    var start = 0
    for (code, count) in Self.types {
      entries.append("\"\(code)\":{\"dtype\":\"\(code)\",\"shape\":[2,4],\"data_offsets\":[\(start),\(start + count)]}")
      start += count
    }
    let data = (0..<start).map { UInt8(truncatingIfNeeded: $0) }
    let file = try file("{\(entries.joined(separator: ","))}", data)
    let copyPath = directory.file("copy.safetensors")
    let writer = try SafetensorsWriter(path: copyPath, tensors: file.tensorNames.map { try file.declaration($0) })
    for name in file.tensorNames { try file.forEachChunk(of: name) { try writer.append($0, to: name) } }
    try writer.finish()
    let copy = try SafetensorsFile(path: copyPath)
    start = 0
    for (code, count) in Self.types {
      let bytes = Array(data[start..<start + count])
      #expect(try file.withBytes(code) { Array($0) } == bytes && copy.withBytes(code) { Array($0) } == bytes)
      #expect(try copy.declaration(code) == file.declaration(code))
      start += count
    }
    #expect(try file.integers("I8") == Array(32..<40) && file.integers("I16").count == 8)
    expectError(.mismatch, at: file.path, "tensor F64: expected F32, F16 or BF16", "got F64") {
      _ = try file.floats("F64")
    }
    for code in ["U64", "BOOL", "C64", "F4"] {
      expectError(.mismatch, at: file.path, "tensor \(code)", "got \(code)") { _ = try file.integers(code) }
    }
  }

  @Test func emptyHeaderWithTrailingWhitespace() throws {
    let file = try file("{}\r \t\n", [])
    #expect(file.tensorNames.isEmpty && file.metadata.isEmpty)
  }

  @Test func zeroSizedTensor() throws {
    let file = try file("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}", [])
    #expect(file.shape(of: "test") == [2, 0])
    #expect(try file.integers("test") == [])
  }

  /// One byte in front of each: no element of them lies at a multiple of its size.
  @Test(arguments: 0..<8) func misalignedTensors(padding: Int) throws {
    let header = """
      {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},\
      "h":{"dtype":"F16","shape":[9000],"data_offsets":[9,18009]},"i":{"dtype":"I64","shape":[1],"data_offsets":[18009,18017]}}
      """
    let halves = (0..<9000).map { Float16($0) }
    let data = [7] + bytes([Float(1.5), -3]) + bytes(halves) + bytes([Int64.min + 5])
    let file = try file(header + String(repeating: " ", count: padding), data)
    #expect(try file.floats("f") == [1.5, -3])
    #expect(try file.floats("h") == halves.map(Float.init))
    #expect(try file.integers("i") == [Int.min + 5])
  }

  @Test func tensorsLongerThanAChunk() throws {
    // Two and a half chunks, from a place that is no multiple of a page.
    let count = SafetensorsFile.chunkByteCountMax / 2 * 5 / 2
    let halves = (0..<count).map { UInt16(truncatingIfNeeded: $0 &* 40503) & 0xbfff }
    let file = try file(
      "{\"w\":{\"dtype\":\"BF16\",\"shape\":[\(count)],\"data_offsets\":[0,\(2 * count)]}}", bytes(halves))
    #expect(try file.floats("w", requireFinite: false) == halves.map { Float(bitPattern: UInt32($0) << 16) })
    var copy: [UInt8] = []
    var longest = 0
    try file.forEachChunk(of: "w") {
      copy += $0
      longest = max(longest, $0.count)
    }
    #expect(copy == bytes(halves) && longest == SafetensorsFile.chunkByteCountMax)
    // What was given back is read again.
    #expect(try file.withBytes("w") { Array($0) } == copy)
  }

  /// However large a tensor, reading it in pieces keeps little of the file in this process.
  @Test func memoryOfPiecesIsGivenBack() throws {
    let count = 12 * SafetensorsFile.chunkByteCountMax
    let header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(count)],\"data_offsets\":[0,\(count)]}}"
    let path = try directory.write("t.safetensors", safetensors(header, dataByteCount: 0))
    // Its data is a hole in the file, which reads as zeros.
    try #require(truncate(path, 8 + header.utf8.count + count) == 0)
    let file = try SafetensorsFile(path: path)
    var largest = 0
    try file.forEachChunk(of: "a") { chunk in
      #expect(chunk.allSatisfy { $0 == 0 })
      largest = max(largest, try residentByteCount(of: path))
    }
    #expect(largest >= SafetensorsFile.chunkByteCountMax, "the figure is not that of the mapping")
    #expect(largest <= 2 * SafetensorsFile.chunkByteCountMax)
    let afterwards = try withExtendedLifetime(file) { try residentByteCount(of: path) }
    #expect(afterwards <= 1 << 16)
  }

  /// How much of a mapped file is in this process's memory, as the kernel says.
  private func residentByteCount(of path: String) throws -> Int {
    let text = try AtomicFile.read("/proc/self/smaps", byteCountMax: 64 << 20)
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    let mapping = try #require(lines.firstIndex { $0.hasSuffix(path) })
    let line = try #require(lines[mapping...].first { $0.hasPrefix("Rss:") })
    return try 1024 * #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
  }

  @Test func rowsOfATensor() throws {
    let file = try file(
      "{\"w\":{\"dtype\":\"F32\",\"shape\":[4,3],\"data_offsets\":[0,48]}}", bytes((0..<12).map(Float.init)))
    #expect(try file.floats("w", rows: 1..<3, requireFinite: true) == [3, 4, 5, 6, 7, 8])
    #expect(try file.floats("w", rows: 4..<4, requireFinite: true) == [])
    expectError(.mismatch, at: file.path, "tensor w", "rows 3..<5", "[4, 3]") {
      _ = try file.floats("w", rows: 3..<5, requireFinite: true)
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 4095, 4096, 9999]) func nonFiniteValue(
    value: Float, index: Int
  ) throws {
    var values = [Float](repeating: .greatestFiniteMagnitude, count: 10_000)
    values[index] = value
    values[9999] = value
    let file = try file("{\"w\":{\"dtype\":\"F32\",\"shape\":[100,100],\"data_offsets\":[0,40000]}}", bytes(values))
    expectError(.malformed, at: file.path, "tensor w", "finite", "\(value)", "[\(index / 100), \(index % 100)]") {
      _ = try file.floats("w", requireFinite: true)
    }
    expectError(.malformed, at: file.path, "finite") { _ = try file.matrix("w", rows: 100, columns: 100) }
    #expect(try file.floats("w").count == 10_000)
  }

  @Test func nonFiniteValueAmongRows() throws {
    var values = [Float](repeating: 0, count: 12)
    values[7] = .nan
    let file = try file("{\"w\":{\"dtype\":\"F32\",\"shape\":[4,3],\"data_offsets\":[0,48]}}", bytes(values))
    expectError(.malformed, at: file.path, "[2, 1]") { _ = try file.floats("w", rows: 2..<4, requireFinite: true) }
    #expect(try file.floats("w", rows: 0..<2, requireFinite: true) == [Float](repeating: 0, count: 6))
  }

  @Test func valuesOfAnotherKind() throws {
    let file = try SafetensorsFile(path: goldenDirectory + "/golden.safetensors")
    expectError(.mismatch, at: file.path, "tensor i32", "got I32") { _ = try file.floats("i32") }
    expectError(.mismatch, at: file.path, "tensor f16", "got F16") { _ = try file.integers("f16") }
    expectError(.missing, at: file.path, "no tensor nothing") { _ = try file.floats("nothing") }
  }

  @Test func matricesAreOfTheShapeAskedFor() throws {
    let file = try SafetensorsFile(path: goldenDirectory + "/golden.safetensors")
    #expect(try file.matrix("f32", rows: 2, columns: 3)[1, 0] == -2.5)
    expectError(.mismatch, at: file.path, "tensor f32: expected shape [3, 2], got [2, 3]") {
      _ = try file.matrix("f32", rows: 3, columns: 2)
    }
    expectError(.missing, at: file.path, "no tensor x", "[3, 2]") { _ = try file.matrix("x", rows: 3, columns: 2) }
  }
}

/// Where the files made by the reference implementation are.
let goldenDirectory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden").path
