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
    try check(finalPath)
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

  /// Checks that ``write(_:_:)`` could begin, and leaves nothing behind: a job needs its output's place when all else is done.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` if the final name is taken, `.io` if there can be no directory of that name.
  static func check(_ finalPath: String) throws(CoordinatorError) {
    try requireFree(finalPath)
    do throws(ArtifactError) { try Directory.tryOut(finalPath, operation: operation) } catch { throw .io("\(error)") }
  }

  /// Whether something has the final name already. A link that leads nowhere has it as well.
  static func isTaken(_ finalPath: String) -> Bool {
    var status = stat()
    return lstat(finalPath, &status) == 0
  }

  private static func requireFree(_ finalPath: String) throws(CoordinatorError) {
    if isTaken(finalPath) {
      throw .usage("\(finalPath): exists; remove it or choose another --output")
    }
  }

  /// What cannot be done, for errors.
  private static let operation = "cannot make the output directory"

  /// - Returns: nil where the file system knows no locks.
  private func lock() throws -> FileLock? {
    try Self.make(Directory.parent(of: finalPath))
    do throws(ArtifactError) {
      if let lock = try FileLock.take(path + ".lock", makingFile: true) { return lock }
    } catch {
      guard case .io(_, _, let code) = error, [ENOSYS, ENOLCK, EOPNOTSUPP].contains(code) else { throw error }
      unlink(path + ".lock")
      return nil
    }
    throw CoordinatorError.tryAgain("\(path): another process is writing it; wait for that one or stop it first")
  }

  private func make() throws(CoordinatorError) {
    try Self.requireFree(finalPath)
    // Of a process that was killed.
    try? FileManager.default.removeItem(atPath: path)
    if try Self.make(path).isEmpty { throw .io("\(path): is there already and cannot be removed; remove it") }
  }

  /// - Returns: what was made; see ``Directory/make(_:mode:operation:)``.
  @discardableResult
  private static func make(_ path: String) throws(CoordinatorError) -> [String] {
    do throws(ArtifactError) { return try Directory.make(path, operation: operation) } catch { throw .io("\(error)") }
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
  ///
  /// - Parameter checkStop: called before each file; what it throws is thrown.
  func digests(_ checkStop: () throws -> Void) throws -> [String: String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: path)
    return try Dictionary(
      uniqueKeysWithValues: names.map { name -> (String, String) in
        try checkStop()
        return (name, try OpenFile("\(path)/\(name)").artifact().digest.hex)
      })
  }

  /// If it fails after the rename, the directory is complete all the same, and a resumed job finds it so.
  private func finish() throws {
    if rename(path, finalPath) != 0 {
      throw CoordinatorError.io("\(finalPath): cannot take its final name: \(String(cString: strerror(errno)))")
    }
    try AtomicFile.makeDurable(directory: Directory.parent(of: finalPath))
  }
}
