import Foundation
import Synchronization

/// A file on its way to `destination`: written under another name in the same directory, renamed when it is complete
/// and durable. Unless it comes to that, the temporary file is removed with this object.
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
    let directory = Self.directory(of: destination)
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    // The process and a count make the name unique among writers; a leftover of an earlier process of the same id is replaced.
    let name = (destination as NSString).lastPathComponent
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
      if count < 0 { throw CheckpointError.system("cannot write", destination, errno) }
      // A short write is followed by another try, which then reports why.
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Makes the bytes durable and gives the file its final name, replacing what had it.
  func commit() throws {
    if fsync(descriptor) != 0 { throw CheckpointError.system("cannot make durable", destination, errno) }
    if rename(temporary, destination) != 0 { throw CheckpointError.system("cannot rename to", destination, errno) }
    // From here on there is nothing to remove.
    let closed = close(descriptor)
    descriptor = -1
    if closed != 0 { throw CheckpointError.system("cannot close", destination, errno) }
    try Self.makeDirectoryDurable(Self.directory(of: destination))
  }

  private static func directory(of path: String) -> String {
    let directory = (path as NSString).deletingLastPathComponent
    return directory.isEmpty ? "." : directory
  }

  /// A rename is durable once its directory is.
  private static func makeDirectoryDurable(_ directory: String) throws {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw CheckpointError.system("cannot open", directory, errno) }
    defer { close(descriptor) }
    // Some network file systems know no fsync of directories and say EINVAL; their renames are durable by themselves.
    if fsync(descriptor) != 0 && errno != EINVAL {
      throw CheckpointError.system("cannot make durable", directory, errno)
    }
  }
}
