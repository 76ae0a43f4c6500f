/// Where the dashboard listens: `HOST:PORT`, or a port alone for loopback. Port 0 is any free one.
public struct DashboardAddress: Sendable, Equatable, CustomStringConvertible {
  public let host: String
  public let port: Int

  public static let loopback = "127.0.0.1"

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// nil for a text that is neither.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else {
      guard let port = UInt16(text) else { return nil }
      self.init(host: Self.loopback, port: Int(port))
      return
    }
    guard let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    let name = text[..<colon]
    let isBracketed = name.hasPrefix("[") && name.hasSuffix("]")
    let host = isBracketed ? name.dropFirst().dropLast() : name
    // An IPv6 address without brackets could end anywhere.
    guard isBracketed || !host.contains(":"), !host.contains("/") else { return nil }
    self.init(host: host.isEmpty ? Self.loopback : String(host), port: Int(port))
  }

  /// Whether only this machine reaches it.
  public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
