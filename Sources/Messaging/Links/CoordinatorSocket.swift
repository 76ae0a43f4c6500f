import CZeroMQ

/// What runs on the coordinator's socket thread.
final class CoordinatorSocket {
  struct Outgoing: Sendable {
    let peer: Peer
    let message: CoordinatorMessage
    let frames: [[UInt8]]
  }

  enum Command: Sendable {
    case send(Outgoing)
    case forget(Peer)
    case stop
  }

  /// Messages read before posted commands get their turn again.
  private static let readBatch = 256
  /// The pause before a full connection is tried again.
  private static let retryPause = Duration.milliseconds(20)
  /// How long a stop waits for full connections.
  private static let stopPatience = Duration.seconds(1)
  /// Connections remembered. Beyond it all are asked to say Ready again, which harms nobody.
  private static let peerLimit = 65_536
  /// Connections whose rejected messages are counted.
  private static let offenderLimit = 1024

  private let socket: ZMQSocket
  private let security: SocketSecurity
  private let thread: SocketThread
  private let commands: WaitQueue<Command>
  private let events: WaitQueue<CoordinatorLink.Event>

  /// Connections that have said Ready.
  private var introduced: Set<Peer> = []
  /// Messages for connections that are full, oldest first.
  private var backlog: [Peer: [Outgoing]] = [:]
  private var rejections: [Peer: Int] = [:]
  private var budgets: RequestBudgets
  private var refusals = RefusalLog()
  private var isStopping = false

  init(
    _ socket: ZMQSocket, _ security: SocketSecurity, messagesPerSecond: Int, _ thread: SocketThread,
    _ commands: WaitQueue<Command>, _ events: WaitQueue<CoordinatorLink.Event>
  ) {
    self.socket = socket
    self.security = security
    budgets = RequestBudgets(perSecond: messagesPerSecond)
    self.thread = thread
    self.commands = commands
    self.events = events
  }

  func run() {
    do throws(MessagingError) {
      while !isStopping {
        let isReading = events.hasSpace()
        let deadline = backlog.isEmpty ? nil : ContinuousClock.now + Self.retryPause
        _ = thread.poll(isReading ? [(socket, ZMQ_POLLIN)] : [], until: deadline)
        try sendBacklog()
        for command in commands.takeAll() { try perform(command) }
        try read()
      }
      try finish()
    } catch {
      events.append(.failed(error))
    }
  }

  private func perform(_ command: Command) throws(MessagingError) {
    switch command {
    case .send(let outgoing): try send(outgoing)
    case .forget(let peer): introduced.remove(peer)
    case .stop: isStopping = true
    }
  }

  private func finish() throws(MessagingError) {
    let deadline = ContinuousClock.now + Self.stopPatience
    while !backlog.isEmpty, .now < deadline {
      _ = thread.poll([], until: .now + Self.retryPause)
      try sendBacklog()
    }
  }

  // MARK: Sending

  private func send(_ outgoing: Outgoing) throws(MessagingError) {
    // Behind those that wait already, so that order holds.
    if backlog[outgoing.peer] != nil { return wait(outgoing) }
    switch try socket.send([outgoing.peer.routingID] + outgoing.frames) {
    case .sent: break
    case .wouldBlock: wait(outgoing)
    case .unreachable: lose([outgoing], .vanished)
    }
  }

  private func wait(_ outgoing: Outgoing) {
    if backlog[outgoing.peer, default: []].count >= CoordinatorLink.backlogLimit {
      lose([outgoing], .congested)
    } else {
      backlog[outgoing.peer, default: []].append(outgoing)
    }
  }

  private func lose(_ messages: [Outgoing], _ reason: CoordinatorLink.Reason) {
    for outgoing in messages {
      if reason == .vanished { introduced.remove(outgoing.peer) }
      events.append(.undelivered(outgoing.message, to: outgoing.peer, reason))
    }
  }

  private func sendBacklog() throws(MessagingError) {
    for (peer, messages) in backlog {
      var sent = 0
      sending: while sent < messages.count {
        switch try socket.send([peer.routingID] + messages[sent].frames) {
        case .sent: sent += 1
        case .wouldBlock: break sending
        case .unreachable:
          lose(Array(messages[sent...]), .vanished)
          sent = messages.count
        }
      }
      backlog[peer] = sent == messages.count ? nil : Array(messages[sent...])
    }
  }

  /// An answer of the thread's own. Nobody minds if it is lost: what it answers is repeated.
  private func answer(_ peer: Peer, _ message: CoordinatorMessage) throws(MessagingError) {
    if let frames = try? message.frames() { _ = try socket.send([peer.routingID] + frames) }
  }

  private func refuse(_ peer: Peer, _ code: WireRefuseCode, _ text: String) throws(MessagingError) {
    var refuse = WireRefuse()
    refuse.code = code
    refuse.text = text
    try answer(peer, .refuse(refuse))
  }

  // MARK: Receiving

  private func read() throws(MessagingError) {
    for _ in 0..<Self.readBatch {
      guard events.hasSpace(), let received = try socket.receive() else { return }
      switch received {
      case .dropped(let first, let last, let frames, let bytes):
        let peer = peer(first, last)
        if budgets.spend(peer.routingID, at: .now) {
          reject(peer, .overLimits(frames: frames - 1, bytes: bytes - first.count))
        } else {
          refuse(peer, "more than \(budgets.perSecond) messages a second")
        }
      case .message(let frames): try take(frames)
      }
    }
    // There may be more, and zmq_poll must not wait for what it has told of already.
    thread.wakeup.signal()
  }

  /// The address belongs to frames that came through the connection; the routing id is put in front by the ROUTER.
  private func peer(_ first: MessageFrame, _ last: MessageFrame) -> Peer {
    Peer(routingID: first.bytes, address: last.peerAddress ?? "unknown", key: last.peerKey)
  }

  private func take(_ frames: [MessageFrame]) throws(MessagingError) {
    let peer = peer(frames[0], frames[frames.count - 1])
    guard security.admits(peer.key, to: .control) else { return withdraw(peer) }
    guard budgets.spend(peer.routingID, at: .now) else {
      return refuse(peer, "more than \(budgets.perSecond) messages a second")
    }
    let message: WorkerMessage
    do { message = try WorkerMessage(frames: frames.dropFirst().map(\.bytes)) } catch {
      reject(peer, error)
      if case .otherVersion = error { try refuse(peer, .protocolVersion, error.description) }
      return
    }
    switch message {
    case .ready:
      if introduced.count >= Self.peerLimit { introduced.removeAll() }
      introduced.insert(peer)
    case _ where !introduced.contains(peer):
      return try refuse(peer, .introduceYourself, "say Ready first")
    case .heartbeat: try answer(peer, .pulse(WirePulse()))
    case .goodbye: introduced.remove(peer)
    default: break
    }
    // There was room before it was read; what others have posted since must not push it out.
    events.append(.message(message, from: peer), cost: frames.reduce(0) { $0 + $1.count })
  }

  /// Its key was on the list when the connection was let in. The worker behind it is to be missed at once.
  private func withdraw(_ peer: Peer) {
    if introduced.remove(peer) != nil { events.append(.withdrawn(peer)) }
    refuse(peer, "its key is no longer allowed")
  }

  /// Nothing of it is read; the log has a line.
  private func refuse(_ peer: Peer, _ reason: String) {
    let offender = peer.key.map { "\(peer.address), key \($0)" } ?? peer.address
    guard let count = refusals.note(offender, reason, at: .now) else { return }
    _ = events.offer(.refused(offender, reason: reason, count: count))
  }

  private func reject(_ peer: Peer, _ error: ProtocolError) {
    if rejections.count >= Self.offenderLimit, rejections[peer] == nil { rejections.removeAll() }
    let count = rejections[peer, default: 0] + 1
    rejections[peer] = count
    if count & (count - 1) == 0 { _ = events.offer(.rejected(error, from: peer, count: count)) }
  }
}
