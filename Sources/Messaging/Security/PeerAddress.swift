import Foundation

/// Addresses without ports, as they are logged: a client's port is another with each attempt.
enum PeerAddress {
  /// The numeric address at the other end of a connected socket; nil if it is not connected any more.
  static func of(descriptor: Int32) -> String? {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        getpeername(descriptor, address, &length) == 0
          ? getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) : -1
      }
    }
    guard result == 0 else { return nil }
    return String(upToZero: text)
  }
}
