import Foundation

/// Which file a path or a descriptor stands for, whatever is in it.
package struct FileIdentity: Sendable, Equatable {
  private let device: UInt64
  private let inode: UInt64

  /// - Returns: nil if the system does not tell.
  package init?(descriptor: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  /// - Returns: nil if there is nothing of that name, or the system does not tell.
  package init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  private init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }

  /// Whether a path is known to stand for another file, or for none: this one was removed, moved or replaced. Of a path
  /// that cannot be looked at for now that is not known.
  package func isGone(from path: String) -> Bool {
    if let found = FileIdentity(path: path) { return found != self }
    return [ENOENT, ENOTDIR, ESTALE].contains(errno)
  }
}
