import Checkpoint
import Foundation
import Messaging

/// An output directory that grows under a temporary name beside its final one and takes that when it is complete.
struct UnfinishedDirectory {
  /// Where to write.
  let path: String
  let finalPath: String

  /// Files of a model that a tokenizer or a generation loop needs, copied as they are.
  static let companionFiles = [
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
  ]
  /// The longest companion file that is copied.
  static let companionByteCountMax = 1 << 28

  /// Makes a directory that `fill` fills. If it fails nothing stays: on a full disk it would only take space. What a process
  /// that was killed left under the temporary name is removed.
  ///
  /// - Throws: ``CoordinatorError`` if the final name is taken or the directory cannot be made; what `fill` throws.
  static func write(_ finalPath: String, _ fill: (UnfinishedDirectory) throws -> Void) throws {
    let directory = UnfinishedDirectory(path: finalPath + ".incomplete", finalPath: finalPath)
    let lock = try directory.lock()
    // While it is there no other process makes, or removes, a directory of the same name.
    defer { if let lock { unlink(lock.path) } }
    try directory.make()
    do {
      try fill(directory)
      try directory.finish()
    } catch {
      try? FileManager.default.removeItem(atPath: directory.path)
      throw error
    }
  }

  /// - Returns: nil where the file system knows no locks.
  private func lock() throws -> FileLock? {
    let parent = URL(fileURLWithPath: finalPath).deletingLastPathComponent().path
    try attempt { try $0.createDirectory(atPath: parent, withIntermediateDirectories: true) }
    do throws(ArtifactError) {
      if let lock = try FileLock.take(path + ".lock", makingFile: true) { return lock }
    } catch {
      guard case .io(_, _, let code) = error, [ENOSYS, ENOLCK, EOPNOTSUPP].contains(code) else { throw error }
      unlink(path + ".lock")
      return nil
    }
    throw CoordinatorError.tryAgain("\(path): another process is writing it; wait for that one or stop it first")
  }

  private func make() throws {
    if FileManager.default.fileExists(atPath: finalPath) {
      throw CoordinatorError.usage("\(finalPath): exists; remove it or choose another --output")
    }
    try attempt { files in
      if files.fileExists(atPath: path) { try files.removeItem(atPath: path) }
      try files.createDirectory(atPath: path, withIntermediateDirectories: false)
    }
  }

  private func attempt(_ change: (FileManager) throws -> Void) throws {
    do { try change(.default) } catch {
      throw CoordinatorError.io("\(path): cannot make the output directory: \(error.localizedDescription)")
    }
  }

  func copyCompanions(from directory: String) throws {
    for name in Self.companionFiles {
      let source = "\(directory)/\(name)"
      guard FileManager.default.fileExists(atPath: source) else { continue }
      let bytes = try AtomicFile.read(source, byteCountMax: Self.companionByteCountMax)
      try AtomicFile.write(bytes, to: "\(path)/\(name)")
    }
  }

  /// SHA-256 of every file, by name.
  func digests() throws -> [String: String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: path)
    return try Dictionary(uniqueKeysWithValues: names.map { ($0, try FileDigest.of(path: "\(path)/\($0)").hex) })
  }

  private func finish() throws {
    if rename(path, finalPath) != 0 {
      throw CoordinatorError.io("\(finalPath): cannot take its final name: \(String(cString: strerror(errno)))")
    }
  }
}
