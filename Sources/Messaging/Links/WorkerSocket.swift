import CZeroMQ

/// What runs on the worker's socket thread.
final class WorkerSocket {
  private enum Phase: Equatable {
    /// Ready is said again at this time.
    case introducing(again: ContinuousClock.Instant)
    /// Heartbeats are due at this time and then each period.
    case welcomed(heartbeat: ContinuousClock.Instant, period: Duration)
  }

  /// Messages read before posted commands get their turn again.
  private static let readBatch = 256
  /// The pause before a send that found no connection or a full one is tried again.
  private static let retryPause = Duration.milliseconds(20)
  /// How long a stop waits for a full connection.
  private static let stopPatience = Duration.seconds(1)
  /// Woken this much later than asked for, the process itself stood still.
  private static let standstill = Duration.seconds(2)
  /// Bounds of the period that a Welcome may ask for.
  private static let heartbeatPeriods = Duration.milliseconds(10)...Duration.seconds(60)

  struct Connection {
    let socket: ZMQSocket
    /// Receives ``WorkerSocket/handshakeFailures``.
    let monitor: ZMQSocket
    let hasKeys: Bool
  }

  /// What tells that whoever answers is not the coordinator this worker may talk to.
  static let handshakeFailures =
    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH

  private var connection: Connection
  private var socket: ZMQSocket { connection.socket }
  private let dial: () throws(MessagingError) -> Connection
  private let introduction: [[UInt8]]
  private let clocks: WorkerLink.Clocks
  private let held: HeldTasks
  private let thread: SocketThread
  private let commands: WaitQueue<[[UInt8]]>
  private let events: WaitQueue<WorkerLink.Event>

  private var phase: Phase
  /// When something last came from the coordinator, or the thread began.
  private var heard: ContinuousClock.Instant
  /// When the silence was last reported, or something heard.
  private var silenceNoted: ContinuousClock.Instant
  /// The last reason why a handshake failed, and when it was reported.
  private var unsuitedNoted: (reason: String, time: ContinuousClock.Instant)?
  /// Handshakes in a row that failed without keys and without a word.
  private var silentFailures = 0
  /// So many, and it is not a coordinator that happened to die just then.
  private static let silentFailuresMax = 2
  /// Messages that the connection had no room for, oldest first. While there are any, the mailbox is left alone.
  private var pending: [[[UInt8]]] = []

  init(
    _ connection: Connection, dial: @escaping () throws(MessagingError) -> Connection, introduction: [[UInt8]],
    clocks: WorkerLink.Clocks, held: HeldTasks, _ thread: SocketThread, _ commands: WaitQueue<[[UInt8]]>,
    _ events: WaitQueue<WorkerLink.Event>
  ) {
    self.connection = connection
    self.dial = dial
    self.introduction = introduction
    self.clocks = clocks
    self.held = held
    self.thread = thread
    self.commands = commands
    self.events = events
    let now = ContinuousClock.now
    phase = .introducing(again: now)
    heard = now
    silenceNoted = now
  }

  func run() {
    do throws(MessagingError) {
      while !commands.isClosed {
        let due = nextDeadline
        let sockets = events.hasSpace() ? [socket, connection.monitor] : [connection.monitor]
        _ = thread.poll(sockets.map { ($0, ZMQ_POLLIN) }, until: due)
        if .now - due > Self.standstill { restartSilence() }
        // First what has arrived: a process that was stopped for a while finds the coordinator's messages waiting.
        try read()
        try readFailures()
        try keepTime()
        try sendPosted()
      }
      try finish()
    } catch {
      events.append(.failed(error))
    }
  }

  private var nextDeadline: ContinuousClock.Instant {
    let due =
      switch phase {
      case .introducing(let again): again
      case .welcomed(let heartbeat, _): heartbeat
      }
    let next = min(due, silenceNoted + clocks.silence)
    return pending.isEmpty ? next : min(next, .now + Self.retryPause)
  }

  // MARK: Time

  /// Who did not listen cannot say that the coordinator was silent: what it sent meanwhile may come in now.
  private func restartSilence() {
    heard = .now
    silenceNoted = heard
  }

  private func keepTime() throws(MessagingError) {
    let now = ContinuousClock.now
    if now - silenceNoted >= clocks.silence {
      silenceNoted = now
      events.append(.silent(for: now - heard))
      // The connection may be cut off without either end knowing: a new one finds out.
      connection = try dial()
      introduce(at: now)
    }
    switch phase {
    case .introducing(let again) where again <= now:
      // Without a connection there is nothing to say it on; soon there may be.
      let isSaid = try socket.send(introduction) == .sent
      phase = .introducing(again: now + (isSaid ? clocks.introduction : Self.retryPause))
    case .welcomed(let due, let period) where due <= now:
      if let frames = try? WorkerMessage.heartbeat(held.heartbeat).frames() { _ = try socket.send(frames) }
      // From now on and not from when it was due: after a stop of the process nobody wants the missed ones.
      phase = .welcomed(heartbeat: now + period, period: period)
    default: break
    }
  }

  private func introduce(at time: ContinuousClock.Instant) {
    phase = .introducing(again: time)
    pending.removeAll()
  }

  // MARK: Sending

  private func sendPosted() throws(MessagingError) {
    try sendPending()
    if !pending.isEmpty { return }
    for frames in commands.takeAll() {
      // Not welcomed: the coordinator would not take it.
      guard case .welcomed = phase else { continue }
      if !pending.isEmpty {
        pending.append(frames)
      } else if try socket.send(frames) != .sent {
        pending.append(frames)
      }
    }
  }

  private func sendPending() throws(MessagingError) {
    var sent = 0
    while sent < pending.count, try socket.send(pending[sent]) == .sent { sent += 1 }
    pending.removeFirst(sent)
  }

  private func finish() throws(MessagingError) {
    let deadline = ContinuousClock.now + Self.stopPatience
    try sendPosted()
    while !pending.isEmpty, .now < deadline {
      _ = thread.poll([], until: .now + Self.retryPause)
      try sendPosted()
    }
  }

  // MARK: Receiving

  private func read() throws(MessagingError) {
    for _ in 0..<Self.readBatch {
      guard events.hasSpace(), let received = try socket.receive() else { return }
      heard = .now
      silenceNoted = heard
      silentFailures = 0
      switch received {
      case .dropped(_, _, let frames, let bytes): reject(.overLimits(frames: frames, bytes: bytes))
      case .message(let frames):
        do throws(ProtocolError) {
          take(
            try CoordinatorMessage(frames: frames.map(\.bytes)), cost: frames.reduce(0) { $0 + $1.count })
        } catch { reject(error) }
      }
    }
    thread.wakeup.signal()
  }

  private func take(_ message: CoordinatorMessage, cost: Int) {
    switch message {
    case .pulse: return
    case .refuse(let refuse) where refuse.code == .introduceYourself: return introduce(at: .now)
    case .refuse: introduce(at: .now + clocks.refused)
    case .welcome(let welcome):
      let period = Duration.milliseconds(Int64(welcome.heartbeatMs))
      let bounded = min(max(period, Self.heartbeatPeriods.lowerBound), Self.heartbeatPeriods.upperBound)
      phase = .welcomed(heartbeat: .now + bounded, period: bounded)
    default: break
    }
    // There was room before it was read; what others have posted since must not push it out.
    events.append(.message(message), cost: cost)
  }

  private func readFailures() throws(MessagingError) {
    while case .message(let frames)? = try connection.monitor.receive() {
      guard let event = SocketEvent(frames[0]) else { continue }
      switch event.number {
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: unsuited("the coordinator does not allow this worker's key", isFinal: true)
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL where event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        unsuited(Self.keysDiffer, isFinal: true)
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL where !connection.hasKeys:
        // A coordinator that wants keys may have closed the connection before its wish has been read.
        silentFailures += 1
        let isFinal = silentFailures >= Self.silentFailuresMax
        unsuited(isFinal ? Self.keysDiffer : "the handshake failed; the coordinator may want --keys", isFinal: isFinal)
      default:
        // A coordinator that cannot decrypt the first word closes the connection, as one that dies does.
        unsuited("the handshake failed; the coordinator may be that of another job, with other keys", isFinal: false)
      }
    }
  }

  private static let keysDiffer = "coordinator and worker must both be given --keys, or neither"

  private func unsuited(_ reason: String, isFinal: Bool) {
    // Attempts follow each other quickly.
    if let noted = unsuitedNoted, noted.reason == reason, .now - noted.time < clocks.refused { return }
    unsuitedNoted = (reason, .now)
    _ = events.offer(.unsuited(reason: reason, isFinal: isFinal))
  }

  private func reject(_ error: ProtocolError) { events.append(.rejected(error)) }
}
