import Checkpoint
import Foundation
import Testing

/// A directory of its own for one test, removed at its end.
final class TestDirectory {
  let path: String

  /// - Parameter inMemory: where the system has a file system in memory, for tests that make thousands of files.
  init(inMemory: Bool = false) throws {
    let memory = "/dev/shm"
    let parent = inMemory && access(memory, W_OK) == 0 ? memory : FileManager.default.temporaryDirectory.path
    path = parent + "/crvq-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }

  /// Everything in it, hidden files too, sorted.
  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

  @discardableResult func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  @discardableResult func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

  func bytes(_ name: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: file(name)))) }
}

/// A safetensors file of that header and that many data bytes (0, 1, 2, …), whatever they say.
func safetensors(_ header: String, dataByteCount: Int) -> [UInt8] {
  withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
    + (0..<dataByteCount).map { UInt8(truncatingIfNeeded: $0) }
}

/// The bytes of values as they lie in a file.
func bytes(_ values: [some BitwiseCopyable]) -> [UInt8] { values.withUnsafeBytes(Array.init) }

/// Expects a ``CheckpointError`` of one line with that kind, that path and all of those pieces in its message.
func expectError(
  _ kind: CheckpointError.Kind, at path: String, _ pieces: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
  } catch let error as CheckpointError {
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    #expect(error.path == path, "\(error)", sourceLocation: sourceLocation)
    #expect(!error.description.contains("\n"), "\(error)", sourceLocation: sourceLocation)
    for piece in pieces {
      #expect(error.message.contains(piece), "\(error) lacks \(piece)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
}
