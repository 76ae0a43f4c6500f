import Checkpoint
import Foundation
import Messaging

/// An output directory that grows under a temporary name beside its final one and takes that when it is complete.
struct UnfinishedDirectory {
  /// Where to write.
  let path: String
  let finalPath: String
  /// A file that is beside it as long as it grows. No other process then makes, or removes, a directory of the same
  /// name; and what a process left that was killed is told by it from what is somebody else's.
  private let lockPath: String

  private init(_ finalPath: String) {
    path = finalPath + ".incomplete"
    lockPath = path + ".lock"
    self.finalPath = finalPath
  }

  /// Files of a model that a tokenizer or a generation loop needs, copied as they are.
  static let companionFiles = [
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
  ]
  /// The longest companion file that is copied.
  static let companionByteCountMax = 1 << 28
  /// No file in the directory has a longer name, nor has one on its way there.
  private static let nameLengthMax = 80

  /// Makes a directory that `fill` fills. If it fails nothing stays: on a full disk it would only take space. What a process
  /// that was killed left under the temporary name is removed.
  ///
  /// - Throws: ``CoordinatorError`` if one of its names is taken or the directory cannot be made; what `fill` throws.
  static func write(_ finalPath: String, _ fill: (UnfinishedDirectory) throws -> Void) throws {
    try check(finalPath)
    let directory = UnfinishedDirectory(finalPath)
    let isLeft = try directory.isLeft()
    let lock = try directory.lock()
    defer { withExtendedLifetime(lock) { _ = unlink(directory.lockPath) } }
    // So that not even a power failure leaves the directory alone.
    try AtomicFile.makeDurable(directory: Directory.parent(of: finalPath))
    try directory.make(replacing: isLeft)
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
  /// - Throws: ``CoordinatorError`` `.usage` if the final name is taken, or a temporary one by what this program did
  ///   not leave; `.io` if there can be no directory of that name.
  static func check(_ finalPath: String) throws(CoordinatorError) {
    try requireFree(finalPath)
    let directory = UnfinishedDirectory(finalPath)
    _ = try directory.isLeft()
    let names = [directory.lockPath, "\(directory.path)/" + String(repeating: "x", count: nameLengthMax)]
    do throws(ArtifactError) {
      try Directory.tryOut(finalPath, needing: names, operation: operation)
    } catch { throw .io("\(error)") }
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

  /// Whether a process of this program has begun to write the directory: before all else it made the lock's file,
  /// which is empty.
  ///
  /// - Throws: `.usage` if one of the two names is somebody else's, `.io` for the lock of another user.
  private func isLeft() throws(CoordinatorError) -> Bool {
    var status = stat()
    let isLocked = lstat(lockPath, &status) == 0
    if isLocked {
      if status.st_mode & S_IFMT != S_IFREG || status.st_size > 0 { throw Self.inTheWay(lockPath) }
      if access(lockPath, R_OK | W_OK) != 0 { throw .io("\(lockPath): \(String(cString: strerror(errno)))") }
    }
    if lstat(path, &status) == 0, !isLocked || status.st_mode & S_IFMT != S_IFDIR { throw Self.inTheWay(path) }
    return isLocked
  }

  private static func inTheWay(_ path: String) -> CoordinatorError {
    .usage("\(path): is in the way, and not what crvq-coord has left; remove it or choose another --output")
  }

  /// What cannot be done, for errors.
  private static let operation = "cannot make the output directory"

  /// - Returns: nil where the file system knows no locks. The file is there all the same.
  private func lock() throws -> FileLock? {
    try Self.make(Directory.parent(of: finalPath))
    do throws(ArtifactError) {
      if let lock = try FileLock.take(lockPath, makingFile: true) { return lock }
    } catch {
      guard case .io(_, _, let code) = error, [ENOSYS, ENOLCK, EOPNOTSUPP].contains(code) else { throw error }
      return nil
    }
    throw CoordinatorError.tryAgain("\(path): another process is writing it; wait for that one or stop it first")
  }

  /// - Parameter isLeft: whether what is there already was left by a process that was killed.
  private func make(replacing isLeft: Bool) throws(CoordinatorError) {
    try Self.requireFree(finalPath)
    if isLeft { try? FileManager.default.removeItem(atPath: path) }
    if try !Self.make(path).isEmpty { return }
    if isLeft { throw .io("\(path): is there already and cannot be removed; remove it") }
    throw Self.inTheWay(path)
  }

  /// - Returns: what was made; see ``Directory/make(_:mode:operation:)``.
  @discardableResult
  private static func make(_ path: String) throws(CoordinatorError) -> [String] {
    do throws(ArtifactError) { return try Directory.make(path, operation: operation) } catch { throw .io("\(error)") }
  }

  /// Checks that ``copyCompanions(from:)`` will find files, before the work that comes first.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput`.
  static func checkCompanions(in directory: String) throws(CoordinatorError) {
    for path in companionFiles.map({ "\(directory)/\($0)" }) {
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      guard stat(path, &status) == 0 else {
        throw .badInput(
          "\(path): expected a file, got a symbolic link to nothing; complete the directory, or remove the link")
      }
      guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= companionByteCountMax else {
        throw .badInput(
          "\(path): expected a file of at most \(companionByteCountMax) bytes, to go into the output as it is; remove it"
        )
      }
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
