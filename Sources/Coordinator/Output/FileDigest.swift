import Foundation
import Messaging

/// SHA-256 of files, read in pieces.
enum FileDigest {
  /// - Throws: ``CoordinatorError`` naming the file.
  static func of(path: String) throws -> Digest {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw CoordinatorError.badInput("\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var builder = DigestBuilder()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    while true {
      let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw CoordinatorError.io("\(path): \(String(cString: strerror(errno)))") }
      if count == 0 { return builder.digest }
      builder.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }

  /// One digest over several files and their names, in the order given.
  static func of(files paths: [String]) throws -> Digest {
    let lines = try paths.map { "\(($0 as NSString).lastPathComponent) \(try of(path: $0).hex)\n" }
    return Digest.of(Array(lines.joined().utf8))
  }
}
