import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct TokenFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func write(_ elementType: ElementType, _ shape: [Int], _ data: [UInt8], name: String = "input_ids") throws
    -> String
  {
    let path = directory.file("tokens.safetensors")
    let writer = try SafetensorsWriter(
      path: path, tensors: [TensorDeclaration(name: name, elementType: elementType, shape: shape)])
    try writer.append(data, to: name)
    try writer.finish()
    return path
  }

  @Test func sequencesOfBothTypes() throws {
    let ids = [0, 1, 2, 3, 49151, 5]
    for (elementType, data) in [
      (ElementType.int32, bytes(ids.map(Int32.init))), (.int64, bytes(ids.map(Int64.init))),
    ] {
      let tokens = try TokenFile(path: write(elementType, [3, 2], data), vocabularySize: 49152)
      #expect(tokens.sequenceCount == 3 && tokens.length == 2)
      #expect((0..<3).map(tokens.sequence) == [[0, 1], [2, 3], [49151, 5]])
    }
  }

  /// As tokenizers write one: of a type whose values are not read.
  @Test func maskBesideTheTokens() throws {
    let header = """
      {"attention_mask":{"dtype":"BOOL","shape":[1,2],"data_offsets":[8,10]},\
      "input_ids":{"dtype":"I32","shape":[1,2],"data_offsets":[0,8]}}
      """
    let path = try directory.write(
      "tokens.safetensors", safetensors(header, dataByteCount: 0) + bytes([Int32(5), 6]) + [1, 1])
    #expect(try TokenFile(path: path, vocabularySize: 9).sequence(0) == [5, 6])
  }

  @Test(arguments: [-1, 100, Int.max, Int.min, 1 << 32]) func idOutsideTheVocabulary(id: Int) throws {
    var ids = [Int64](repeating: 99, count: 12)
    ids[7] = Int64(id)
    let path = try write(.int64, [3, 4], bytes(ids))
    expectError(.mismatch, at: path, "0..<100", "got \(id) at position 3 of sequence 1") {
      _ = try TokenFile(path: path, vocabularySize: 100)
    }
  }

  @Test func idOutsideTheVocabularyBeyondAChunk() throws {
    var ids = [Int32](repeating: 1, count: SafetensorsFile.chunkByteCountMax / 4 + 10)
    ids[ids.count - 1] = 9
    let path = try write(.int32, [1, ids.count], bytes(ids))
    expectError(.mismatch, at: path, "got 9 at position \(ids.count - 1) of sequence 0") {
      _ = try TokenFile(path: path, vocabularySize: 9)
    }
  }

  @Test(arguments: [[0, 4], [4, 0], [4, 1], [0, 0]]) func tooShort(shape: [Int]) throws {
    let count = shape[0] * shape[1]
    let path = try write(.int32, shape, bytes([Int32](repeating: 0, count: count)))
    expectError(.mismatch, at: path, "too short", "\(shape)") { _ = try TokenFile(path: path, vocabularySize: 9) }
  }

  @Test(arguments: [[4], [1, 2, 2], []]) func anotherShape(shape: [Int]) throws {
    let path = try write(.int32, shape, bytes([Int32](repeating: 0, count: shape.reduce(1, *))))
    expectError(.mismatch, at: path, "[sequences, length]") { _ = try TokenFile(path: path, vocabularySize: 9) }
  }

  @Test func anotherType() throws {
    let path = try write(.float32, [1, 2], bytes([Float(0), 1]))
    expectError(.mismatch, at: path, "I32 or I64, got F32") { _ = try TokenFile(path: path, vocabularySize: 9) }
  }

  @Test func anotherName() throws {
    let path = try write(.int32, [1, 2], bytes([Int32(0), 1]), name: "tokens")
    expectError(.mismatch, at: path, "expected a tensor input_ids, got tokens") {
      _ = try TokenFile(path: path, vocabularySize: 9)
    }
  }

  @Test(arguments: ["", "abc", "The quick brown fox jumps over the lazy dog.\n", "Zwölf Boxkämpfer jagen Viktor quer."])
  func textInsteadOfTokens(text: String) throws {
    let path = try directory.write("tokens.safetensors", text)
    expectError(.malformed, at: path, "scripts/tokenize") { _ = try TokenFile(path: path, vocabularySize: 9) }
  }

  @Test func missingFile() throws {
    let path = directory.file("none")
    expectError(.missing, at: path, "no such file") { _ = try TokenFile(path: path, vocabularySize: 9) }
  }
}
