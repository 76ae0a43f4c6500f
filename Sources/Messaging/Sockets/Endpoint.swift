/// Where a socket listens or connects: `tcp://HOST:PORT`, the port `*` for any free one when binding.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A name, an IPv4 address, or an IPv6 address in brackets.
  public let host: String
  /// Nil for `*`.
  public let port: UInt16?

  public init(host: String, port: UInt16?) {
    self.host = host
    self.port = port
  }

  /// Reads `tcp://HOST:PORT`.
  ///
  /// - Throws: ``MessagingError`` `.badEndpoint`.
  public init(_ text: String) throws(MessagingError) {
    let scheme = "tcp://"
    guard text.hasPrefix(scheme) else { throw .badEndpoint(text, reason: "expected tcp://HOST:PORT") }
    let rest = text.dropFirst(scheme.count)
    guard let colon = rest.lastIndex(of: ":"), colon != rest.startIndex else {
      throw .badEndpoint(text, reason: "has no port, expected tcp://HOST:PORT")
    }
    let host = rest[..<colon]
    let port = rest[rest.index(after: colon)...]
    guard !host.contains(":") || host.hasPrefix("[") && host.hasSuffix("]") else {
      throw .badEndpoint(text, reason: "write an IPv6 address in brackets")
    }
    let number = UInt16(port)
    // UInt16 reads a sign and leading zeros too.
    guard port == "*" || number.map({ "\($0)" == port }) == true else {
      throw .badEndpoint(text, reason: "port \(port) is neither * nor a number from 0 to 65535 in plain digits")
    }
    self.init(host: String(host), port: number == 0 ? nil : number)
  }

  /// Whether only processes of this machine can reach it.
  public var isLoopback: Bool { host == "localhost" || host == "[::1]" || isIPv4Loopback }

  /// 127.0.0.0/8. A name may begin with "127." and be anywhere.
  private var isIPv4Loopback: Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  /// Whether the host stands for every address of the machine, so that others need to be told a real one.
  public var isWildcard: Bool { host == "*" || host == "0.0.0.0" || host == "[::]" }

  /// The same port at another name for the machine: what to tell others of a wildcard binding.
  public func at(host: String) -> Endpoint { Endpoint(host: host, port: port) }

  public var description: String { "tcp://\(host):\(port.map(String.init) ?? "*")" }
}
