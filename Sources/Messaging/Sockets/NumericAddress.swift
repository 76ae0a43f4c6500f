import Foundation

/// Addresses in numbers, without ports: a client's port is another with each attempt.
package enum NumericAddress {
  /// That of this end of a connected socket; nil if it has none.
  package static func ofThisEnd(descriptor: Int32) -> String? { of(descriptor, by: getsockname) }

  /// That of the other end of a connected socket; nil if it is not connected any more.
  static func ofOtherEnd(descriptor: Int32) -> String? { of(descriptor, by: getpeername) }

  private static func of(
    _ descriptor: Int32,
    by ask: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
  ) -> String? {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        ask(descriptor, address, &length) == 0 ? text(address, length) : nil
      }
    }
  }

  /// An address as endpoints have it: of version 6 in brackets.
  package static func inEndpoint(_ address: String) -> String { address.contains(":") ? "[\(address)]" : address }

  /// The text of an address; nil for one of a kind that has none.
  package static func text(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> String? {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let result = getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    return result == 0 ? String(upToZero: text) : nil
  }
}
