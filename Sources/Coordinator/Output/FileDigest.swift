import Foundation
import Messaging

/// SHA-256 of files, read in pieces.
enum FileDigest {
  /// - Throws: ``CoordinatorError`` naming the file.
  static func of(path: String) throws -> Digest { try artifact(path: path).digest }

  /// Digest and length of a file.
  ///
  /// - Throws: ``CoordinatorError`` naming the file.
  static func artifact(path: String) throws -> Artifact {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw CoordinatorError.badInput("\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var builder = DigestBuilder()
    var size: UInt64 = 0
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    while true {
      let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw CoordinatorError.io("\(path): \(String(cString: strerror(errno)))") }
      if count == 0 { return Artifact(digest: builder.digest, size: size) }
      builder.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      size += UInt64(count)
    }
  }
}
