/// One connection of a worker to the coordinator.
///
/// The ROUTER names each connection anew (four bytes from a random start, so that no name of an earlier process is met
/// again). A worker that reconnects is another peer; who it is, its Ready says.
public struct Peer: Hashable, Sendable, CustomStringConvertible {
  let routingID: [UInt8]
  /// The address it connected from.
  public let address: String
  /// The key it has proved to have; nil where there are no keys.
  public let key: PublicKey?

  package init(routingID: [UInt8], address: String, key: PublicKey? = nil) {
    self.routingID = routingID
    self.address = address
    self.key = key
  }

  public static func == (left: Peer, right: Peer) -> Bool { left.routingID == right.routingID }

  public func hash(into hasher: inout Hasher) { hasher.combine(routingID) }

  public var description: String {
    address + "#" + routingID.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}
