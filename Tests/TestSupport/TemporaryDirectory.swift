import Foundation

/// A directory of its own for one test, which goes away with this object.
public final class TemporaryDirectory: Sendable {
  public let path: String

  /// - Parameter inMemory: where the system has a file system in memory, for tests that make thousands of files.
  public init(inMemory: Bool = false) throws {
    let memory = "/dev/shm"
    let parent = inMemory && access(memory, W_OK) == 0 ? memory : FileManager.default.temporaryDirectory.path
    path = parent + "/crvq-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it, or of one to be made there.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Everything in it, or in a directory in it: at any depth, hidden files too, sorted.
  public func names(in directory: String = "") throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: file(directory)).sorted()
  }

  /// - Returns: the file's path.
  @discardableResult public func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  @discardableResult public func write(_ name: String, _ text: String) throws -> String {
    try write(name, Array(text.utf8))
  }

  public func bytes(_ name: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: URL(fileURLWithPath: file(name))))
  }
}
