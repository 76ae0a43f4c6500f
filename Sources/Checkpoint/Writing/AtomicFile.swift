import Foundation

/// Small files, read and written whole.
public enum AtomicFile {
  /// Writes `bytes` under a temporary name beside `path`, makes them durable and renames: a reader sees the old file or
  /// the new one, also after a crash.
  ///
  /// - Throws: ``CheckpointError`` of kind io; `path` is then as it was.
  public static func write(_ bytes: some Sequence<UInt8>, to path: String) throws {
    let file = try TemporaryFile(destination: path)
    let array = ContiguousArray(bytes)
    try array.withUnsafeBytes { try file.write($0) }
    try file.commit()
  }

  /// Tries whether a file can be made at `path`, for whom much work lies before the writing. Nothing is left there.
  ///
  /// - Throws: ``CheckpointError`` of kind io.
  public static func tryPlace(_ path: String) throws { _ = try TemporaryFile(destination: path) }

  /// Makes what has been renamed in a directory last: a rename is durable once its directory is.
  ///
  /// - Throws: ``CheckpointError`` of kind io.
  package static func makeDurable(directory: String) throws {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw CheckpointError.system("cannot open", directory, errno) }
    defer { close(descriptor) }
    // Some network file systems know no fsync of directories and say EINVAL; their renames are durable by themselves.
    if fsync(descriptor) != 0 && errno != EINVAL {
      throw CheckpointError.system("cannot make durable", directory, errno)
    }
  }

  /// The bytes of a file.
  ///
  /// - Throws: ``CheckpointError``: missing, io, or malformed if it is no regular file or longer than `byteCountMax`.
  public static func read(_ path: String, byteCountMax: Int) throws -> [UInt8] {
    try withRegularFile(path) { descriptor, byteCount in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(min(max(0, byteCount), byteCountMax))
      // The size is a hint only: the file may grow while it is read, and the limit holds for what is read.
      var piece = [UInt8](repeating: 0, count: 1 << 16)
      while true {
        let count = Glibc.read(descriptor, &piece, piece.count)
        if count < 0 && errno == EINTR { continue }
        if count < 0 { throw CheckpointError.system("cannot read", path, errno) }
        if count == 0 { return bytes }
        if bytes.count + count > byteCountMax {
          throw CheckpointError(.malformed, path: path, "expected at most \(byteCountMax) bytes, got more")
        }
        bytes += piece[..<count]
      }
    }
  }
}
