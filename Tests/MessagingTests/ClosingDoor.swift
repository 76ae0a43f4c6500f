import Foundation

/// Accepts every connection and closes it.
final class ClosingDoor: Sendable {
  let endpoint: String
  private let listener: Int32

  private struct Unavailable: Error {}

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 64) == 0
          && getsockname(listener, address, &length) == 0
      }
    }
    self.listener = listener
    guard isListening else { throw Unavailable() }
    endpoint = "tcp://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    Thread {
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0 { return }
        close(connection)
      }
    }.start()
  }

  deinit {
    // Wakes the thread, which a mere close would not.
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }
}
