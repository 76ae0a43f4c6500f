import Messaging

/// Where the dashboard listens: `HOST:PORT`, or a port alone for loopback. Port 0 is any free one.
public struct DashboardAddress: Sendable, Equatable, CustomStringConvertible {
  private static let loopback = "127.0.0.1"

  private let endpoint: Endpoint

  /// nil for a text that is neither.
  public init?(_ text: String) {
    let isPortAlone = UInt16(text) != nil
    let address = isPortAlone ? "\(Self.loopback):\(text)" : text.hasPrefix(":") ? Self.loopback + text : text
    guard !address.contains("/"), !address.hasSuffix(":*"), let endpoint = try? Endpoint("tcp://\(address)") else {
      return nil
    }
    self.endpoint = endpoint
  }

  private init(_ endpoint: Endpoint) { self.endpoint = endpoint }

  /// A name or an address, that of IPv6 without brackets.
  public var host: String { endpoint.host.filter { $0 != "[" && $0 != "]" } }

  public var port: Int { Int(endpoint.port ?? 0) }

  /// The same host at the port that it was given.
  func at(port: UInt16?) -> DashboardAddress { DashboardAddress(Endpoint(host: endpoint.host, port: port)) }

  /// Whether only this machine reaches it.
  public var isLoopback: Bool { endpoint.isLoopback }

  public var description: String { "\(endpoint.host):\(port)" }
}
