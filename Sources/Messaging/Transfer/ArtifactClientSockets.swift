import CZeroMQ

/// What runs on the artifact client's thread: one DEALER a holder, shared by all fetches from it.
final class ArtifactClientSockets {
  enum Command: Sendable {
    /// A fetch begins to use the connection to `holder`; answers with its ticket go to its queue.
    case join(ticket: UInt64, holder: ArtifactHolder, WaitQueue<ArtifactFetch.Reply>)
    case request(ticket: UInt64, holder: ArtifactHolder, [[UInt8]])
    /// A fetch has ended; `isSuspect` if the connection did not answer, so that the next fetch gets a new one.
    case leave(ticket: UInt64, holder: ArtifactHolder, isSuspect: Bool)
    case stop
  }

  private final class Connection {
    let socket: ZMQSocket
    let monitor: ZMQSocket
    var fetches: [UInt64: WaitQueue<ArtifactFetch.Reply>] = [:]
    /// Requests that the socket had no room for.
    var pending: [[[UInt8]]] = []
    var lastUse = ContinuousClock.now

    init(_ socket: ZMQSocket, _ monitor: ZMQSocket) {
      self.socket = socket
      self.monitor = monitor
    }
  }

  private static let readBatch = 64
  private static let retryPause = Duration.milliseconds(10)
  /// A connection nobody uses for so long is closed.
  private static let idle = Duration.seconds(30)
  /// Beyond it one nobody uses makes room; each has two sockets, of those that a context may have.
  private static let connectionLimit = Int(ZMQContext.socketLimit) / 4
  /// Connection events that end a connection's fetches: they can go on elsewhere, at once.
  private static let losses =
    ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH

  private let context: ZMQContext
  private let security: SocketSecurity
  private let thread: SocketThread
  private let commands: WaitQueue<Command>
  private var connections: [ArtifactHolder: Connection] = [:]
  private var monitorCount = 0
  private var isStopping = false

  init(
    _ context: ZMQContext, _ security: SocketSecurity, _ thread: SocketThread, _ commands: WaitQueue<Command>
  ) {
    self.context = context
    self.security = security
    self.thread = thread
    self.commands = commands
  }

  func run() {
    while !isStopping {
      let polled = Array(connections)
      let ready = thread.poll(
        polled.flatMap { [($0.value.socket, ZMQ_POLLIN), ($0.value.monitor, ZMQ_POLLIN)] }, until: nextDeadline)
      for (index, (holder, connection)) in polled.enumerated() {
        // Answers before the news that the connection is gone: they may complete a fetch.
        guarded(holder, connection) { () throws(MessagingError) in
          if ready[2 * index] != 0 { try read(connection) }
          try sendPending(connection)
          if ready[2 * index + 1] != 0 { try readEvents(holder, connection) }
        }
      }
      for command in commands.takeAll() { perform(command) }
      closeIdle()
    }
    commands.close()
    for command in commands.takeAll() {
      if case .join(_, _, let replies) = command { replies.append(.closed) }
    }
    for connection in connections.values {
      for replies in connection.fetches.values { replies.append(.closed) }
    }
  }

  private var nextDeadline: ContinuousClock.Instant? {
    if connections.values.contains(where: { !$0.pending.isEmpty }) { return .now + Self.retryPause }
    return connections.values.filter { $0.fetches.isEmpty }.map { $0.lastUse + Self.idle }.min()
  }

  // MARK: Commands

  private func perform(_ command: Command) {
    switch command {
    case .join(let ticket, let holder, let replies):
      do throws(MessagingError) {
        try connection(to: holder).fetches[ticket] = replies
      } catch { replies.append(.lost(error.description)) }
    case .request(let ticket, let holder, let frames):
      // The connection may be lost, and another made, since the fetch posted this.
      guard let connection = connections[holder], connection.fetches[ticket] != nil else { return }
      connection.pending.append(frames)
      guarded(holder, connection) { () throws(MessagingError) in try sendPending(connection) }
    case .leave(let ticket, let holder, let isSuspect):
      guard let connection = connections[holder], connection.fetches.removeValue(forKey: ticket) != nil else {
        return
      }
      connection.lastUse = .now
      if isSuspect { lose(holder, connection, "the connection does not answer") }
    case .stop: isStopping = true
    }
  }

  private func connection(to holder: ArtifactHolder) throws(MessagingError) -> Connection {
    if let connection = connections[holder] { return connection }
    _ = try Endpoint(holder.endpoint)
    if connections.count >= Self.connectionLimit { closeLongestIdle() }
    let socket = try ZMQSocket(.dealer, context: context, limits: .artifactClient)
    monitorCount += 1
    // Each context has its own inproc names; this client is told from others in the process by its address.
    let name = "artifact-client-\(UInt(bitPattern: ObjectIdentifier(self)))-\(monitorCount)"
    let monitor = try socket.monitor(Int32(Self.losses), name: name)
    try security.connect(socket, to: holder.endpoint, of: .holder(holder.key))
    let connection = Connection(socket, monitor)
    connections[holder] = connection
    return connection
  }

  /// A socket that fails takes its own fetches with it and no others.
  private func guarded(_ holder: ArtifactHolder, _ connection: Connection, _ body: () throws(MessagingError) -> Void) {
    do throws(MessagingError) { try body() } catch { lose(holder, connection, error.description) }
  }

  /// Ends a connection; its fetches go on with other holders.
  private func lose(_ holder: ArtifactHolder, _ connection: Connection, _ reason: String) {
    for replies in connection.fetches.values { replies.append(.lost(reason)) }
    connection.fetches.removeAll()
    if connections[holder] === connection { connections[holder] = nil }
  }

  private func closeIdle() {
    let limit = ContinuousClock.now - Self.idle
    connections = connections.filter { !$0.value.fetches.isEmpty || $0.value.lastUse > limit }
  }

  private func closeLongestIdle() {
    let idle = connections.filter(\.value.fetches.isEmpty)
    if let holder = idle.min(by: { $0.value.lastUse < $1.value.lastUse })?.key { connections[holder] = nil }
  }

  // MARK: Messages

  private func sendPending(_ connection: Connection) throws(MessagingError) {
    var sent = 0
    while sent < connection.pending.count, try connection.socket.send(connection.pending[sent]) == .sent { sent += 1 }
    connection.pending.removeFirst(sent)
  }

  private func read(_ connection: Connection) throws(MessagingError) {
    for _ in 0..<Self.readBatch {
      guard let received = try connection.socket.receive() else { return }
      guard case .message(let frames) = received, let first = frames.first,
        let message = try? ArtifactMessage(
          header: first.bytes, payload: frames.count > 1 ? frames[1].bytes : nil,
          dataLengths: frames.dropFirst(2).map(\.count))
      else {
        // Nothing says whose answer it was; the fetch concerned runs into its timeout, or into the gap.
        continue
      }
      switch message {
      case .chunk(let chunk): _ = connection.fetches[chunk.ticket]?.offer(.chunk(chunk, frames[2]))
      case .refusal(let refusal): _ = connection.fetches[refusal.ticket]?.offer(.refusal(refusal))
      case .request: continue
      }
    }
    thread.wakeup.signal()
  }

  private func readEvents(_ holder: ArtifactHolder, _ connection: Connection) throws(MessagingError) {
    guard case .message(let frames)? = try connection.monitor.receive() else { return }
    guard let event = SocketEvent(frames[0]) else { return }
    switch event.number {
    case ZMQ_EVENT_CONNECT_RETRIED: lose(holder, connection, "cannot be reached")
    case ZMQ_EVENT_DISCONNECTED: lose(holder, connection, "closed the connection")
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: lose(holder, connection, "does not allow this process's key")
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: lose(holder, connection, "does not use the same keys")
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: lose(holder, connection, "handshake failed")
    default: break
    }
  }
}
