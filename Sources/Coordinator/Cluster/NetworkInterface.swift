import Foundation
import Messaging

/// The addresses of this machine.
public enum NetworkInterface {
  /// The address of an interface, IPv4 before IPv6; an address stands for itself.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` that names the interfaces there are.
  public static func address(of name: String) throws(CoordinatorError) -> String {
    let all = addresses()
    if let own = all.first(where: { $0.address == name || $0.address == "[\(name)]" }) { return own.address }
    let found = all.filter { $0.interface == name }
    guard let first = found.first(where: { !$0.address.hasPrefix("[") }) ?? found.first else {
      let names = Set(all.map(\.interface)).sorted().joined(separator: ", ")
      throw .usage("interface: expected one of \(names), or an address of this machine, got '\(name)'")
    }
    return first.address
  }

  /// IPv6 addresses in brackets; those of one link alone are left out.
  private static func addresses() -> [(interface: String, address: String)] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: [(String, String)] = []
    for entry in sequence(first: list, next: { $0?.pointee.ifa_next }) {
      guard let entry, let address = entry.pointee.ifa_addr else { continue }
      let family = Int32(address.pointee.sa_family)
      guard family == AF_INET || family == AF_INET6 else { continue }
      let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
      guard let numeric = NumericAddress.text(address, socklen_t(size)), !numeric.contains("%") else { continue }
      found.append((String(cString: entry.pointee.ifa_name), NumericAddress.inEndpoint(numeric)))
    }
    return found
  }
}
