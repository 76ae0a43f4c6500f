import Foundation

/// Opens a regular file for reading and hands out its descriptor and its size in bytes, both good inside `body` only.
///
/// - Throws: ``CheckpointError``: missing, io, or malformed for anything but a regular file; what `body` throws.
func withRegularFile<Result>(
  _ path: String, _ body: (_ descriptor: Int32, _ byteCount: Int) throws -> Result
) throws -> Result {
  // O_NONBLOCK: a pipe of this name must not make us wait for somebody who writes into it.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  if descriptor < 0 { throw CheckpointError.opening(path, errno) }
  defer { close(descriptor) }
  var status = stat()
  if fstat(descriptor, &status) != 0 { throw CheckpointError.system("cannot read the size", path, errno) }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw CheckpointError(.malformed, path: path, "expected a regular file, got a directory, a pipe or a device")
  }
  return try body(descriptor, Int(status.st_size))
}
