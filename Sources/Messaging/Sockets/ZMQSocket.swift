import CZeroMQ

/// A libzmq socket: created, used and closed on one thread.
///
/// "ØMQ sockets are not thread safe. Applications MUST NOT use a socket from multiple threads" (zmq_socket). Not Sendable,
/// so the compiler keeps it on the thread that made it.
package final class ZMQSocket {
  package enum Kind: Sendable {
    /// Many peers, each message with its peer's routing id in front.
    case router
    /// One peer.
    case dealer
    /// One peer in this process: the other end of a socket monitor.
    case pair
    /// Answers one question after another: the handler of the ZeroMQ Authentication Protocol.
    case reply
  }

  package enum SendOutcome: Sendable, Equatable {
    case sent
    /// The peer's queue is full, or there is no connection yet. Try again later.
    case wouldBlock
    /// A ROUTER has no connection of that routing id.
    case unreachable
  }

  package enum Received {
    case message([MessageFrame])
    /// A message over the limits: read to its end and let go. `first` is its first frame, a ROUTER's routing id; `last` came
    /// through the connection and so knows who sent it.
    case dropped(first: MessageFrame, last: MessageFrame, frames: Int, bytes: Int)
  }

  let handle: UnsafeMutableRawPointer
  /// Kept so that it outlives the socket; nil for sockets that the context itself keeps.
  private let context: ZMQContext?
  let limits: SocketLimits
  private let kind: Kind
  /// The other end of this socket's monitor. Kept because it has to stay open until the monitor is stopped: libzmq waits for it
  /// to take each event, holding up its own thread, and with it every connection.
  private var monitorEnd: ZMQSocket?
  /// What the socket was bound or connected to, for errors.
  package private(set) var endpoint: String

  /// - Throws: ``MessagingError`` `.socket` if there are too many sockets, or an option is refused.
  package convenience init(_ kind: Kind, context: ZMQContext, limits: SocketLimits) throws(MessagingError) {
    try self.init(kind, context: context.handle, keeping: context, limits: limits)
  }

  /// A socket that does not keep its context, and has to be closed before it.
  convenience init(
    _ kind: Kind, context: UnsafeMutableRawPointer, limits: SocketLimits
  ) throws(MessagingError) {
    try self.init(kind, context: context, keeping: nil, limits: limits)
  }

  private init(
    _ kind: Kind, context contextHandle: UnsafeMutableRawPointer, keeping context: ZMQContext?, limits: SocketLimits
  ) throws(MessagingError) {
    let type: Int32 =
      switch kind {
      case .router: ZMQ_ROUTER
      case .dealer: ZMQ_DEALER
      case .pair: ZMQ_PAIR
      case .reply: ZMQ_REP
      }
    guard let handle = zmq_socket(contextHandle, type) else { throw .last("create socket", "\(kind)") }
    self.handle = handle
    self.context = context
    self.limits = limits
    self.kind = kind
    endpoint = "\(kind)"
    try set(ZMQ_MAXMSGSIZE, Int64(limits.frameBytes), "ZMQ_MAXMSGSIZE")
    try set(ZMQ_SNDHWM, limits.sendQueue, "ZMQ_SNDHWM")
    try set(ZMQ_RCVHWM, limits.receiveQueue, "ZMQ_RCVHWM")
    try set(ZMQ_LINGER, limits.lingerMilliseconds, "ZMQ_LINGER")
    try set(ZMQ_AFFINITY, limits.ioThreads, "ZMQ_AFFINITY")
    if kind == .router {
      // Without it, a send to a peer that is gone or whose queue is full succeeds and the message is lost.
      try set(ZMQ_ROUTER_MANDATORY, Int32(1), "ZMQ_ROUTER_MANDATORY")
      // A newcomer never takes over the name of a live connection.
      try set(ZMQ_ROUTER_HANDOVER, Int32(0), "ZMQ_ROUTER_HANDOVER")
    }
    if kind == .router || kind == .dealer { try setConnectionClocks() }
  }

  /// The kernel's probes end connections whose other side was cut off without a word. ZeroMQ's own pings would too, but
  /// libzmq aborts the process where one is due on a connection that has ended while its receive queue was full (its issue
  /// 4364).
  private func setConnectionClocks() throws(MessagingError) {
    try set(ZMQ_TCP_KEEPALIVE, Int32(1), "ZMQ_TCP_KEEPALIVE")
    try set(ZMQ_TCP_KEEPALIVE_IDLE, Int32(5), "ZMQ_TCP_KEEPALIVE_IDLE")
    try set(ZMQ_TCP_KEEPALIVE_INTVL, Int32(5), "ZMQ_TCP_KEEPALIVE_INTVL")
    try set(ZMQ_TCP_KEEPALIVE_CNT, Int32(3), "ZMQ_TCP_KEEPALIVE_CNT")
    // Also where something has waited that long to be taken, by one who stands still, say.
    try set(ZMQ_TCP_MAXRT, Int32(20_000), "ZMQ_TCP_MAXRT")
    try set(ZMQ_HANDSHAKE_IVL, Int32(10_000), "ZMQ_HANDSHAKE_IVL")
    try set(ZMQ_RECONNECT_IVL, Int32(100), "ZMQ_RECONNECT_IVL")
    try set(ZMQ_RECONNECT_IVL_MAX, Int32(2000), "ZMQ_RECONNECT_IVL_MAX")
  }

  deinit {
    // Under libzmq's lock: afterwards no event can be on its way.
    if monitorEnd != nil { zmq_socket_monitor(handle, nil, 0) }
    // Fails only for a handle that is no socket, which this one is until now.
    zmq_close(handle)
  }

  // MARK: Options

  /// For a DEALER: queue messages for connections that are made, and for no others (ZMQ_IMMEDIATE).
  static let immediate = ZMQ_IMMEDIATE

  /// Sets an option of any fixed-width type.
  package func set<Value: FixedWidthInteger & BitwiseCopyable>(
    _ option: Int32, _ value: Value, _ name: String
  ) throws(MessagingError) {
    var value = value
    if zmq_setsockopt(handle, option, &value, MemoryLayout<Value>.size) != 0 {
      throw .last("set \(name) to \(value)", endpoint)
    }
  }

  /// Sets an option of bytes.
  package func set(_ option: Int32, _ value: [UInt8], _ name: String) throws(MessagingError) {
    if zmq_setsockopt(handle, option, value, value.count) != 0 { throw .last("set \(name)", endpoint) }
  }

  // MARK: Connections

  /// Has everyone who connects prove that they are one of those in `credentials`; refusals are logged. Before the bind.
  ///
  /// - Throws: ``MessagingError``; the socket must not be bound then.
  func guardDoor(_ credentials: Credentials) throws(MessagingError) {
    guard let context else { throw .closed }
    try context.zapHandler(credentials).watch(self)
  }

  /// Listens at `endpoint`.
  ///
  /// - Returns: the endpoint with the port that was chosen for `*`.
  /// - Throws: ``MessagingError`` `.endpointInUse`, `.badEndpoint`, `.socket`.
  package func bind(_ endpoint: String) throws(MessagingError) -> String {
    try allowIPv6(endpoint)
    if zmq_bind(handle, endpoint) != 0 { throw .last("bind", endpoint) }
    var bytes = [CChar](repeating: 0, count: 1024)
    var count = bytes.count
    if zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &bytes, &count) != 0 { throw .last("ask for the port", endpoint) }
    self.endpoint = String(upToZero: bytes)
    return self.endpoint
  }

  /// Connects to `endpoint`, now or as soon as somebody listens there.
  ///
  /// - Throws: ``MessagingError`` `.badEndpoint`, `.socket`.
  package func connect(_ endpoint: String) throws(MessagingError) {
    try allowIPv6(endpoint)
    if zmq_connect(handle, endpoint) != 0 { throw .last("connect", endpoint) }
    self.endpoint = endpoint
  }

  /// For addresses of version 6 only: with it, those of version 4 have names of version 6.
  private func allowIPv6(_ endpoint: String) throws(MessagingError) {
    if endpoint.hasPrefix("tcp://[") { try set(ZMQ_IPV6, Int32(1), "ZMQ_IPV6") }
  }

  /// A socket that receives this one's connection events. Made and used on the same thread.
  package func monitor(_ events: Int32, name: String) throws(MessagingError) -> ZMQSocket {
    let address = "inproc://\(name)"
    if zmq_socket_monitor(handle, address, events) != 0 { throw .last("monitor", endpoint) }
    guard let context else { throw .closed }
    let monitor = try ZMQSocket(.pair, context: context, limits: .monitor)
    try monitor.connect(address)
    monitorEnd = monitor
    return monitor
  }

  // MARK: Messages

  /// Sends frames without waiting, all or none.
  ///
  /// - Throws: ``MessagingError`` `.socket`.
  package func send(_ frames: [[UInt8]], data: MessageFrame? = nil) throws(MessagingError) -> SendOutcome {
    for (index, frame) in frames.enumerated() {
      let isLast = index == frames.count - 1 && data == nil
      if zmq_send(handle, frame, frame.count, ZMQ_DONTWAIT | (isLast ? 0 : ZMQ_SNDMORE)) < 0 {
        return try outcome(ofFailureAt: index, isLast: isLast)
      }
    }
    if let data, zmq_msg_send(data.message, handle, ZMQ_DONTWAIT) < 0 {
      return try outcome(ofFailureAt: frames.count, isLast: true)
    }
    return .sent
  }

  /// Later frames follow their first one into its queue: libzmq asks for room and for the peer at the first only. But the
  /// connection of a DEALER may end between two frames; those before are then taken back.
  private func outcome(ofFailureAt index: Int, isLast: Bool) throws(MessagingError) -> SendOutcome {
    let code = crvq_zmq_errno()
    guard index == 0 || kind == .dealer && isLast && code == EAGAIN else { throw .last("send", endpoint) }
    switch code {
    case EAGAIN, EINTR: return .wouldBlock
    case EHOSTUNREACH: return .unreachable
    default: throw .last("send", endpoint)
    }
  }

  /// Takes the next message that has arrived, if there is one. Never waits.
  ///
  /// - Throws: ``MessagingError`` `.socket`.
  package func receive() throws(MessagingError) -> Received? {
    var frames: [MessageFrame] = []
    var count = 0
    var bytes = 0
    // A ROUTER's routing id is a frame of ours, not of the message.
    let frameLimit = limits.frames + (kind == .router ? 1 : 0)
    while true {
      let frame = MessageFrame()
      if zmq_msg_recv(frame.message, handle, ZMQ_DONTWAIT) < 0 {
        let code = crvq_zmq_errno()
        if code == EINTR { continue }
        // A message is available with all its frames or not at all.
        if code == EAGAIN, count == 0 { return nil }
        throw .last("receive", endpoint)
      }
      count += 1
      bytes += frame.count
      if count == 1 || count <= frameLimit && bytes <= limits.messageBytes { frames.append(frame) }
      if frame.hasMore { continue }
      if count <= frameLimit, bytes <= limits.messageBytes { return .message(frames) }
      return .dropped(first: frames[0], last: frame, frames: count, bytes: bytes)
    }
  }
}

extension SocketLimits {
  /// For the events of a socket monitor: two frames, a number and an endpoint. They come from this process, are small and
  /// read at once; a limit on their queue would hold up libzmq's own thread, and with it every connection.
  static let monitor = SocketLimits(
    frameBytes: 4096, frames: 2, messageBytes: 8192, sendQueue: 0, receiveQueue: 0, lingerMilliseconds: 0, ioThreads: 0)
}
