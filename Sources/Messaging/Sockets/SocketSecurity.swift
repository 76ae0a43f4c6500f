/// How the two ends of a connection know each other.
///
/// Every socket that meets another process takes one of these, and ``apply(to:as:)`` runs before its bind or connect: the
/// one place where mechanisms, keys and authentication domains are set.
public enum SocketSecurity: Sendable {
  /// Anyone who reaches the port may talk. For loopback and tests.
  case plain

  /// Which end of a connection a socket is.
  package enum Role: Sendable {
    case server
    case client
  }

  package func apply(to socket: ZMQSocket, as role: Role) throws(MessagingError) {
    switch self {
    case .plain: break
    }
  }
}
