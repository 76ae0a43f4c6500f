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

  /// The bytes of a file.
  ///
  /// - Throws: ``CheckpointError``: missing, io, or malformed if it is longer than `byteCountMax`.
  public static func read(_ path: String, byteCountMax: Int) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw CheckpointError.opening(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw CheckpointError.system("cannot read the size", path, errno) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(min(max(0, Int(status.st_size)), byteCountMax))
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
