import Foundation

/// A store's place for files that have no final name yet: one hidden directory a process, held by a file lock, so that
/// what a killed process left can be told from what a live one is writing.
final class StagingDirectory: Sendable {
  static let prefix = ".staging-"
  private static let lockSuffix = ".lock"
  /// Tries to make a directory before giving up; each fails only if another process sweeps in the same microsecond.
  private static let attempts = 16

  let path: String
  private let lock: FileLock

  /// Makes a staging directory inside `directory`.
  init(in directory: String) throws(ArtifactError) {
    for _ in 0..<Self.attempts {
      let path = "\(directory)/\(Self.prefix)\(String(UInt64.random(in: .min ... .max), radix: 16))"
      guard let lock = try FileLock.take(path + Self.lockSuffix, makingFile: true) else { continue }
      guard mkdir(path, 0o700) == 0 else {
        let code = errno
        unlink(lock.path)
        throw .system("create directory", path, code)
      }
      self.path = path
      self.lock = lock
      return
    }
    throw .io(operation: "create a staging directory", path: directory, errno: EAGAIN)
  }

  deinit { remove() }

  /// Removes it with all that is in it; nothing can be written here any more.
  func remove() {
    Self.removeTree(path)
    unlink(lock.path)
  }

  /// Whether somebody else has removed it, or its lock.
  var isGone: Bool { lock.isGone || (access(path, F_OK) != 0 && errno == ENOENT) }

  /// A path in this directory that no file has.
  func freshPath() -> String { "\(path)/\(String(UInt64.random(in: .min ... .max), radix: 16))" }

  /// Removes what processes that are gone left in `directory`.
  static func sweep(_ directory: String) {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
      .filter { $0.hasPrefix(prefix) }
    for name in names where name.hasSuffix(lockSuffix) {
      // One that cannot be opened is not this process's to remove.
      guard let lock = try? FileLock.take("\(directory)/\(name)", makingFile: false) else { continue }
      removeTree(String(lock.path.dropLast(lockSuffix.count)))
      unlink(lock.path)
    }
  }

  /// Removes a directory that holds files only.
  private static func removeTree(_ path: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { unlink("\(path)/\(name)") }
    rmdir(path)
  }
}
