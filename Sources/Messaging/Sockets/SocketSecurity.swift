import CZeroMQ

/// How the two ends of a connection know each other.
///
/// Every socket that meets another process takes one of these and is bound or connected by it: the one place where
/// mechanisms, keys and authentication domains are set. See <doc:Security>.
public enum SocketSecurity: Sendable {
  /// No keys: whoever reaches the port may talk. Listens on loopback only.
  case plain
  /// As ``plain``, but listens anywhere: for networks where everyone is trusted.
  case insecure
  /// Both ends prove who they are, and traffic is encrypted (CURVE).
  case curve(Credentials)

  /// What a listening socket is for. Its name is the authentication domain.
  package enum Purpose: String, Sendable {
    case control = "crvq-control"
    case artifacts = "crvq-artifacts"
  }

  /// The key by which others recognize this process; nil without keys.
  public var publicKey: PublicKey? {
    if case .curve(let credentials) = self { credentials.publicKey } else { nil }
  }

  /// The key that the job's coordinator has; nil without keys.
  public var coordinatorKey: PublicKey? {
    if case .curve(let credentials) = self { credentials.coordinator } else { nil }
  }

  /// Whether a message on a bound socket counts: a key may have been withdrawn since its connection was let in.
  package func admits(_ key: PublicKey?, to purpose: Purpose) -> Bool {
    guard case .curve(let credentials) = self else { return true }
    return key.map { credentials.admits($0, to: purpose) } ?? false
  }

  /// Binds a socket so that none but those who may talk come through.
  ///
  /// - Returns: the endpoint with the port that was chosen for `*`.
  /// - Throws: ``MessagingError``, `.unprotected` for an endpoint that asks for keys.
  package func bind(
    _ socket: ZMQSocket, to endpoint: String, for purpose: Purpose
  ) throws(MessagingError) -> String {
    switch self {
    case .plain: try check(binding: endpoint)
    case .insecure: break
    case .curve(let credentials):
      try apply(credentials, to: socket)
      try socket.set(ZMQ_CURVE_SERVER, Int32(1), "ZMQ_CURVE_SERVER")
      try socket.set(ZMQ_ZAP_DOMAIN, Array(purpose.rawValue.utf8), "ZMQ_ZAP_DOMAIN")
      // Without it, a missing handler would let everyone in.
      try socket.set(ZMQ_ZAP_ENFORCE_DOMAIN, Int32(1), "ZMQ_ZAP_ENFORCE_DOMAIN")
      // Before the bind: from then on there may be somebody at the door.
      try socket.guardDoor(credentials)
    }
    return try socket.bind(Self.address(of: endpoint))
  }

  /// Checks that an endpoint may be bound: without keys it is to be one of this machine's alone.
  ///
  /// - Throws: ``MessagingError`` `.badEndpoint`, `.unprotected`.
  public func check(binding endpoint: String) throws(MessagingError) {
    let parsed = try Endpoint(endpoint)
    if case .plain = self, !parsed.isLoopback { throw .unprotected(endpoint) }
  }

  /// To bind, libzmq takes addresses and names of interfaces; of all names of hosts this one is certain to be ours.
  private static func address(of endpoint: String) -> String {
    guard let parsed = try? Endpoint(endpoint), parsed.host == "localhost" else { return endpoint }
    return parsed.at(host: "127.0.0.1").description
  }

  /// Who must be listening where a socket connects.
  package enum Listener: Sendable {
    case coordinator
    /// A holder of artifacts with this key.
    case holder(PublicKey?)
  }

  /// Connects a socket to `endpoint`; if somebody else than `listener` is there, nothing passes.
  ///
  /// - Throws: ``MessagingError``, `.stranger` for a holder without a key or with one that is not allowed.
  package func connect(
    _ socket: ZMQSocket, to endpoint: String, of listener: Listener
  ) throws(MessagingError) {
    if case .curve(let credentials) = self {
      let key: PublicKey? =
        switch listener {
        case .coordinator: credentials.coordinator
        case .holder(let key): key
        }
      guard let key, credentials.admits(key, to: .artifacts) else { throw .stranger(endpoint) }
      try apply(credentials, to: socket)
      try socket.set(ZMQ_CURVE_SERVERKEY, key.bytes, "ZMQ_CURVE_SERVERKEY")
    }
    try socket.connect(endpoint)
  }

  /// Bytes that CURVE adds to each frame (rfc.zeromq.org/spec/26: command name, nonce, flags, authenticator).
  private static let frameOverhead = 8 + 8 + 1 + 16

  private func apply(_ credentials: Credentials, to socket: ZMQSocket) throws(MessagingError) {
    try Self.requireCurve()
    try socket.set(ZMQ_CURVE_PUBLICKEY, credentials.own.publicKey.bytes, "ZMQ_CURVE_PUBLICKEY")
    try socket.set(ZMQ_CURVE_SECRETKEY, credentials.own.secret, "ZMQ_CURVE_SECRETKEY")
    // The limit is for frames as they travel: encrypted.
    try socket.set(ZMQ_MAXMSGSIZE, Int64(socket.limits.frameBytes + Self.frameOverhead), "ZMQ_MAXMSGSIZE")
  }

  /// - Throws: ``MessagingError`` `.noCurve` if this libzmq was built without.
  static func requireCurve() throws(MessagingError) {
    if zmq_has("curve") != 1 { throw .noCurve }
  }
}
