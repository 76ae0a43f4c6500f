import Foundation

/// A store's place for files that have no final name yet: one hidden directory a process, held by a file lock, so that
/// what a killed process left can be told from what a live one is writing.
final class StagingDirectory: Sendable {
  static let prefix = ".staging-"
  private static let lockSuffix = ".lock"
  /// Tries to make a directory before giving up; each fails only if another process sweeps in the same microsecond.
  private static let attempts = 16

  let path: String
  private let lockPath: String
  private let lock: Int32

  /// Makes a staging directory inside `directory`.
  init(in directory: String) throws(ArtifactError) {
    for _ in 0..<Self.attempts {
      let path = "\(directory)/\(Self.prefix)\(String(UInt64.random(in: .min ... .max), radix: 16))"
      let lockPath = path + Self.lockSuffix
      let lock = open(lockPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if lock < 0 {
        if errno == EEXIST { continue }
        throw .system("create", lockPath, errno)
      }
      // A sweep may have taken the file away between open and flock: then the path names another file, or none.
      guard flock(lock, LOCK_EX | LOCK_NB) == 0, Self.isSameFile(lock, lockPath) else {
        close(lock)
        continue
      }
      guard mkdir(path, 0o700) == 0 else {
        let code = errno
        unlink(lockPath)
        close(lock)
        throw .system("create directory", path, code)
      }
      self.path = path
      self.lockPath = lockPath
      self.lock = lock
      return
    }
    throw .io(operation: "create a staging directory", path: directory, errno: EAGAIN)
  }

  deinit {
    Self.removeTree(path)
    unlink(lockPath)
    close(lock)
  }

  /// A path in this directory that no file has.
  func freshPath() -> String { "\(path)/\(String(UInt64.random(in: .min ... .max), radix: 16))" }

  /// Removes what processes that are gone left in `directory`.
  ///
  /// - Returns: the number of files removed.
  static func sweep(_ directory: String) -> Int {
    var removed = 0
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
      .filter { $0.hasPrefix(prefix) }
    for name in names where name.hasSuffix(lockSuffix) {
      let lockPath = "\(directory)/\(name)"
      let lock = open(lockPath, O_RDWR | O_CLOEXEC)
      if lock < 0 { continue }
      defer { close(lock) }
      if flock(lock, LOCK_EX | LOCK_NB) != 0 { continue }
      removed += removeTree(String(lockPath.dropLast(lockSuffix.count)))
      unlink(lockPath)
    }
    return removed
  }

  private static func isSameFile(_ descriptor: Int32, _ path: String) -> Bool {
    var held = stat()
    var named = stat()
    return fstat(descriptor, &held) == 0 && stat(path, &named) == 0
      && held.st_ino == named.st_ino && held.st_dev == named.st_dev
  }

  /// Removes a directory that holds files only.
  @discardableResult
  private static func removeTree(_ path: String) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
    return names.count
  }
}
