import Foundation
import Messaging

/// The address of this machine by which another can reach it.
enum LocalAddress {
  /// The address of the interface that packets to `host` leave by; nil if there is no way there.
  static func reaching(_ host: String) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let name = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
    guard getaddrinfo(name, "9", &hints, &found) == 0, let info = found else { return nil }
    defer { freeaddrinfo(found) }
    let descriptor = socket(info.pointee.ai_family, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    // Connecting a datagram socket chooses a route and sends nothing.
    guard connect(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0 else { return nil }
    return NumericAddress.ofThisEnd(descriptor: descriptor).map(NumericAddress.inEndpoint)
  }
}
