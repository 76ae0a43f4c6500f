import Foundation

/// A file that at most one process has, by a lock that the kernel takes back when that process ends, however it ends.
package final class FileLock: Sendable {
  package let path: String
  /// The open file, to keep a word for the next holder in.
  package let descriptor: Int32

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Takes a lock, or does not: it never waits.
  ///
  /// - Parameter makingFile: makes the file if there is none; its directory has to be there.
  /// - Returns: nil if another process has it, is removing it or, without `makingFile`, has not made it.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace` if the file cannot be opened, made or locked.
  package static func take(_ path: String, makingFile: Bool) throws(ArtifactError) -> FileLock? {
    let flags = O_RDWR | O_CLOEXEC | (makingFile ? O_CREAT : 0)
    var descriptor = open(path, flags, 0o600)
    if descriptor < 0, errno == ENOENT {
      if !makingFile { return nil }
      // On a network file system another process may have removed the file between its being found and opened.
      descriptor = open(path, flags, 0o600)
    }
    if descriptor < 0 { throw .system("lock", path, errno) }
    let lock = FileLock(path: path, descriptor: descriptor)
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      // Some network file systems know no locks.
      let code = errno
      if code == EWOULDBLOCK { return nil }
      throw .system("lock", path, code)
    }
    // Between open and flock another may have removed the file: then the path names another one, or none.
    return lock.isAtItsPath ? lock : nil
  }

  private var isAtItsPath: Bool {
    guard let held = FileIdentity(descriptor: descriptor) else { return false }
    return held == FileIdentity(path: path)
  }

  /// Whether the file was removed or replaced, so that another process may have a lock of this name.
  package var isGone: Bool { FileIdentity(descriptor: descriptor)?.isGone(from: path) ?? true }
}
