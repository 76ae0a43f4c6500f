import Foundation
import Mapping
import Synchronization

/// A file on its way to `destination`: written under another name in the same directory, renamed when it is complete
/// and, if it is to be that, durable. Unless it comes to that, the temporary file is removed with this object.
final class TemporaryFile {
  static let namePrefix = "."
  static let nameSuffix = ".crvq-partial"

  let destination: String
  private let temporary: String
  private var descriptor: Int32
  private static let counter = Atomic<Int>(0)

  /// Creates the file.
  ///
  /// - Throws: ``CheckpointError`` of kind io.
  init(destination: String) throws {
    let destination = try Self.target(of: destination)
    let (directory, name) = Self.place(of: destination)
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    // The process and a count make the name unique among writers; a leftover of an earlier process of the same id is replaced.
    temporary = joined(directory, "\(Self.namePrefix)\(name).\(getpid()).\(number)\(Self.nameSuffix)")
    self.destination = destination
    unlink(temporary)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw CheckpointError.system("cannot create", destination, errno) }
  }

  deinit {
    if descriptor < 0 { return }
    close(descriptor)
    unlink(temporary)
  }

  /// Appends bytes, all of them.
  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while let base = rest.baseAddress, !rest.isEmpty {
      let count = Glibc.write(descriptor, base, rest.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 {
        let code = errno
        if code == EFAULT { FileMapping.touch(rest) }
        throw CheckpointError.system("cannot write", destination, code)
      }
      // A short write is followed by another try, which then reports why.
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Gives the file its final name, replacing what had it.
  ///
  /// - Parameter isDurable: whether bytes and name are there after a power failure too.
  func commit(isDurable: Bool = true) throws {
    if isDurable, fsync(descriptor) != 0 { throw CheckpointError.system("cannot make durable", destination, errno) }
    // Where it was not made durable, some file systems say only now that there is no room.
    let closed = close(descriptor)
    descriptor = -1
    if closed != 0 { throw failure("cannot close") }
    if rename(temporary, destination) != 0 { throw failure("cannot rename to") }
    if isDurable { try AtomicFile.makeDurable(directory: Self.place(of: destination).directory) }
  }

  /// Removes the file, which is closed.
  private func failure(_ action: String) -> CheckpointError {
    let code = errno
    unlink(temporary)
    return .system(action, destination, code)
  }

  /// What a symbolic link stands for is replaced, not the link: /dev/stdout is one, and everybody's.
  private static func target(of path: String) throws -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return path }
    guard let target = realpath(path, nil) else {
      throw CheckpointError.system("cannot follow the symbolic link", path, errno)
    }
    defer { free(target) }
    return String(cString: target)
  }

  /// The directory that a file is in, and its name there. By hand: on Linux, NSString's `deletingLastPathComponent` traps for a
  /// relative path of one character.
  private static func place(of path: String) -> (directory: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let directory = slash == path.startIndex ? "/" : String(path[..<slash])
    return (directory, String(path[path.utf8.index(after: slash)...]))
  }
}
