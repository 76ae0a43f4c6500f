import Checkpoint
import Foundation
import TestSupport
import Testing

/// One test a corruption: those of the reference implementation's test suite first, by their names there, then ours.
@Suite struct SafetensorsCorruptionTests {
  private let directory: TemporaryDirectory
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("t.safetensors")
  }

  private func expectMalformed(
    _ bytes: [UInt8], _ pieces: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try directory.write("t.safetensors", bytes)
    do {
      _ = try SafetensorsFile(path: path)
      Issue.record("the file was accepted", sourceLocation: sourceLocation)
    } catch let error as CheckpointError {
      #expect(error.kind == .malformed && error.path == path, "\(error)", sourceLocation: sourceLocation)
      for piece in pieces {
        #expect(error.message.contains(piece), "\(error) lacks \(piece)", sourceLocation: sourceLocation)
      }
    }
  }

  private func entry(_ shape: String, _ offsets: String, dtype: String = "\"I32\"") -> String {
    "{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}"
  }

  // MARK: The reference implementation's

  @Test func jsonAttack() throws {
    let entries = (0..<10).map { "\"weight_\($0)\":" + entry("[2,2]", "[0,16]", dtype: "\"F32\"") }
    try expectMalformed(
      safetensors("{\(entries.joined(separator: ","))}", dataByteCount: 16), "overlap", "weight_0", "weight_1")
  }

  @Test func metadataIncompleteBufferWithExtraData() throws {
    let bytes = safetensors("{\"test\":\(entry("[2,2]", "[0,16]"))}", dataByteCount: 16)
    try expectMalformed(bytes + Array("extra_bogus_data_for_polyglot_file".utf8), "34 bytes after the last tensor")
  }

  @Test func metadataIncompleteBufferWithMissingData() throws {
    try expectMalformed(safetensors("{\"test\":\(entry("[2,2]", "[0,16]"))}", dataByteCount: 14), "cut short", "test")
  }

  @Test func headerTooLarge() throws {
    var bytes = safetensors("{\"test\":\(entry("[2,2]", "[0,16]"))}", dataByteCount: 16)
    bytes.replaceSubrange(5..<8, with: [0xff, 0xff, 0xff])
    try expectMalformed(bytes, "at most 100000000 bytes")
  }

  @Test func headerTooSmall() throws {
    try expectMalformed([], "0 bytes")
    try expectMalformed([1, 0, 0, 0, 0, 0, 0], "7 bytes")
  }

  @Test func invalidHeaderLength() throws {
    try expectMalformed([60, 0, 0, 0, 0, 0, 0, 0], "header of 60 bytes reaches beyond the file of 8 bytes")
    try expectMalformed([0, 0, 0, 0, 0, 0, 0, 0], "begins with '{'")
  }

  @Test func invalidHeaderNonUTF8() throws {
    try expectMalformed([1, 0, 0, 0, 0, 0, 0, 0, 0xff], "begins with '{'")
    try expectMalformed(
      [5, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xff] + Array("\"}".utf8), "invalid UTF-8 at byte 2")
  }

  @Test func invalidHeaderNotJSON() throws {
    try expectMalformed(safetensors("{", dataByteCount: 0), "at byte 1")
    try expectMalformed(safetensors("{}x", dataByteCount: 0), "'x' at byte 2")
  }

  @Test func whitespaceStartPaddedHeader() throws {
    try expectMalformed(safetensors("\t\n{}\r ", dataByteCount: 0), "begins with '{'")
  }

  @Test func invalidInfo() throws {
    try expectMalformed(
      safetensors("{\"test\":\(entry("[2,2]", "[0, 4]"))}", dataByteCount: 4), "tensor test", "is 16 bytes", "give 4")
  }

  @Test func validationOverflow() throws {
    try expectMalformed(
      safetensors("{\"test\":\(entry("[2,18446744073709551614]", "[0,16]"))}", dataByteCount: 16), "tensor test",
      "18446744073709551614")
    try expectMalformed(
      safetensors("{\"test\":\(entry("[2,9223372036854775807]", "[0,16]"))}", dataByteCount: 16), "tensor test",
      "overflows")
    try expectMalformed(
      safetensors("{\"test\":\(entry("[4611686018427387904,4611686018427387904,0]", "[0,0]"))}", dataByteCount: 0),
      "overflows")
  }

  // MARK: Ours

  @Test func duplicateTensorName() throws {
    let header = "{\"a\":\(entry("[1]", "[0,4]")),\"a\":\(entry("[1]", "[4,8]"))}"
    try expectMalformed(safetensors(header, dataByteCount: 8), "duplicate name \"a\"")
  }

  @Test func duplicateTensorNameThroughAnEscape() throws {
    let header = "{\"a\":\(entry("[1]", "[0,4]")),\"\\u0061\":\(entry("[1]", "[4,8]"))}"
    try expectMalformed(safetensors(header, dataByteCount: 8), "duplicate name \"a\"")
  }

  @Test func duplicateKeyOfATensor() throws {
    let header = "{\"a\":{\"dtype\":\"I32\",\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
    try expectMalformed(safetensors(header, dataByteCount: 4), "duplicate name \"dtype\"")
  }

  @Test(arguments: ["\"F8_E4M4\"", "\"f32\"", "\"\"", "7", "null"]) func unknownElementType(dtype: String) throws {
    let header = "{\"a\":\(entry("[1]", "[0,4]", dtype: dtype))}"
    try expectMalformed(safetensors(header, dataByteCount: 4), "tensor a: unknown dtype \(dtype)", "F32, F16, BF16")
  }

  @Test func elementsThatDoNotFillBytes() throws {
    let tensor = entry("[3]", "[0,2]", dtype: "\"F4\"")
    try expectMalformed(safetensors("{\"a\":\(tensor)}", dataByteCount: 2), "tensor a: F4 of shape [3]", "whole bytes")
  }

  @Test func offsetsReversed() throws {
    try expectMalformed(
      safetensors("{\"a\":\(entry("[1]", "[8,4]"))}", dataByteCount: 8), "tensor a", "reversed: 8 to 4")
  }

  @Test func offsetsPartlyOverlapping() throws {
    let header = "{\"a\":\(entry("[2]", "[0,8]")),\"b\":\(entry("[2]", "[4,12]"))}"
    try expectMalformed(safetensors(header, dataByteCount: 12), "tensor b: its bytes overlap those of a")
  }

  @Test func holeBetweenTensors() throws {
    let header = "{\"a\":\(entry("[1]", "[0,4]")),\"b\":\(entry("[1]", "[8,12]"))}"
    try expectMalformed(safetensors(header, dataByteCount: 12), "4 bytes between a and b")
  }

  @Test func holeBeforeTheFirstTensor() throws {
    try expectMalformed(
      safetensors("{\"a\":\(entry("[1]", "[4,8]"))}", dataByteCount: 8), "4 bytes between the header and a")
  }

  @Test func offsetsOutsideTheFile() throws {
    let far = Int.max - 3
    try expectMalformed(
      safetensors("{\"a\":\(entry("[1]", "[1000,1004]"))}", dataByteCount: 4), "1000 bytes between the header and a")
    try expectMalformed(safetensors("{\"a\":\(entry("[1]", "[\(far - 1),\(far + 3)]"))}", dataByteCount: 4), "overflow")
  }

  @Test(arguments: ["[-1,3]", "[0.0,4]", "[0,4e0]", "[0,\"4\"]", "[0]", "[0,4,8]", "4", "null"])
  func offsetsOfAnotherKind(offsets: String) throws {
    try expectMalformed(safetensors("{\"a\":\(entry("[1]", offsets))}", dataByteCount: 4), "tensor a", "data_offsets")
  }

  @Test(arguments: ["[-1]", "[1.0]", "[\"1\"]", "1", "{}", "[[1]]", "null"]) func shapeOfAnotherKind(shape: String)
    throws
  {
    try expectMalformed(safetensors("{\"a\":\(entry(shape, "[0,4]"))}", dataByteCount: 4), "tensor a", "shape")
  }

  @Test func tooManyDimensions() throws {
    let shape = "[" + Array(repeating: "1", count: 33).joined(separator: ",") + "]"
    try expectMalformed(safetensors("{\"a\":\(entry(shape, "[0,4]"))}", dataByteCount: 4), "at most 32 dimensions")
  }

  @Test(arguments: ["{\"dtype\":\"I32\",\"shape\":[1]}", "[]", "null", "{}"]) func incompleteEntry(entry: String) throws
  {
    try expectMalformed(safetensors("{\"a\":\(entry)}", dataByteCount: 4), "tensor a")
  }

  @Test func unknownKeyOfATensor() throws {
    let header = "{\"a\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4],\"stride\":[1]}}"
    try expectMalformed(safetensors(header, dataByteCount: 4), "tensor a", "stride")
  }

  @Test(arguments: ["[]", "\"x\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}"]) func metadataOfAnotherKind(value: String)
    throws
  {
    try expectMalformed(safetensors("{\"__metadata__\":\(value)}", dataByteCount: 0), "__metadata__")
  }

  @Test func nestingBeyondTheLimit() throws {
    let deep = String(repeating: "[", count: 200_000)
    try expectMalformed(safetensors("{\"a\":\(deep)", dataByteCount: 0), "nested deeper than 64 levels")
  }

  @Test func textInsteadOfTensors() throws {
    try expectMalformed(Array("version https://git-lfs.github.com/spec/v1\n".utf8), "got text")
  }

  @Test func noSuchFile() throws {
    expectError(.missing, at: path, "no such file") { _ = try SafetensorsFile(path: path) }
  }

  @Test func directoryInsteadOfAFile() throws {
    expectError(.malformed, at: directory.path, "regular file") { _ = try SafetensorsFile(path: directory.path) }
  }
}
