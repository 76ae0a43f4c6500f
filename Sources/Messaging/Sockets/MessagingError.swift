import CZeroMQ

/// Why a socket cannot do what it is asked to. One line each, with the endpoint.
public enum MessagingError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Another process, or another socket of this one, listens there.
  case endpointInUse(String)
  /// Not an endpoint of the form `tcp://HOST:PORT`, or a host that is not of this machine when binding.
  case badEndpoint(String, reason: String)
  /// Others could reach the endpoint, and nothing says that they may.
  case unprotected(String)
  /// Whoever listens there has no key, or one that is not allowed.
  case stranger(String)
  /// This libzmq was built without CURVE.
  case noCurve
  /// Sockets of one context have one set of keys.
  case otherKeys
  /// libzmq or the operating system refused.
  case socket(operation: String, endpoint: String, errno: Int32)
  /// The message would be refused by its receiver.
  case unsendable(ProtocolError)
  /// So many messages wait for the socket thread that no more are taken: it does not keep up, or the peer is away.
  case queueFull(limit: Int)
  /// The link has been closed.
  case closed

  public var description: String {
    switch self {
    case .endpointInUse(let endpoint): "\(endpoint): address already in use; choose another port, or * for any"
    case .badEndpoint(let endpoint, let reason): "\(endpoint): \(reason)"
    case .unprotected(let endpoint):
      "\(endpoint): other machines can reach it; give --keys DIR (see crvq-coord keygen), or --insecure if all on the "
        + "network are trusted"
    case .stranger(let endpoint): "\(endpoint): has no key, or one that is not among the allowed"
    case .noCurve: "this libzmq has no CURVE, which keys need; install one built with libsodium"
    case .otherKeys: "the sockets of this process have other keys already"
    case .socket(let operation, let endpoint, let errno):
      "\(endpoint): \(operation): \(String(cString: zmq_strerror(errno)))"
    case .unsendable(let error): "cannot send: \(error)"
    case .queueFull(let limit): "\(limit) messages are waiting to be sent already"
    case .closed: "the link is closed"
    }
  }

  /// The error of the libzmq call that just failed on this thread.
  static func last(_ operation: String, _ endpoint: String) -> MessagingError {
    let code = crvq_zmq_errno()
    switch code {
    case EADDRINUSE: return .endpointInUse(endpoint)
    case EINVAL where operation == "bind" || operation == "connect":
      return .badEndpoint(endpoint, reason: "not an endpoint, expected tcp://HOST:PORT")
    case ENODEV: return .badEndpoint(endpoint, reason: "no such address on this machine")
    default: return .socket(operation: operation, endpoint: endpoint, errno: code)
    }
  }
}
