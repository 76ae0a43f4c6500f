import Foundation
import Synchronization

/// The standard input of a process, held open from this side. A pair of sockets: writing to a process that is gone is an error
/// here, and not a signal that ends this one.
final class InputPair: Sendable {
  /// For the process; nil once it has started.
  private let theirs: Mutex<FileHandle?>
  private let ours: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw CoordinatorError.io("a worker's input: \(String(cString: strerror(errno)))")
    }
    ours = ends[0]
    theirs = Mutex(FileHandle(fileDescriptor: ends[1], closeOnDealloc: true))
  }

  deinit { Foundation.close(ours) }

  var processEnd: FileHandle? { theirs.withLock { $0 } }

  /// The process has its end: only then does closing ours mean anything to it.
  func hold() {
    theirs.withLock { handle in
      try? handle?.close()
      handle = nil
    }
  }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Foundation.send(ours, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return }
      sent += count
    }
  }

  /// Ends the process's input, and a ``send(_:)`` that waits for it to read. The descriptor stays taken as long as this object, so
  /// that nothing sent late goes to somebody else.
  func close() { shutdown(ours, Int32(SHUT_RDWR)) }
}
