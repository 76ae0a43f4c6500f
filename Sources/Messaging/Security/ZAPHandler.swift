import CZeroMQ

/// Says of everyone who connects to a socket with keys whether they may come in: the handler of the ZeroMQ Authentication
/// Protocol (rfc.zeromq.org/spec/27), one a context, on a thread of its own.
///
/// It also listens to what these sockets tell of connections that never come as far as showing a key, so that each refusal
/// is logged with its address.
final class ZAPHandler: Sendable {
  enum Command: Sendable {
    /// The events of a listening socket come at this address from now on.
    case watch(address: String, WaitQueue<MessagingError?>)
    case stop
  }

  let credentials: Credentials
  private let thread: SocketThread
  private let commands = WaitQueue<Command>(limit: .max)

  /// Starts the thread; when this returns, connections are judged.
  ///
  /// - Parameters:
  ///   - context: a context that is terminated after ``stop()`` only.
  ///   - refused: is given a line for the log.
  init(
    context: UnsafeMutableRawPointer, credentials: Credentials, refused: @escaping @Sendable (String) -> Void
  ) throws(MessagingError) {
    self.credentials = credentials
    let thread = try SocketThread()
    self.thread = thread
    let commands = commands
    nonisolated(unsafe) let context = context  // "A ØMQ context is thread safe"
    _ = try thread.start("zap") { report in
      do throws(MessagingError) {
        let requests = try ZMQSocket(.reply, context: context, limits: .authentication)
        report(.success(try requests.bind("inproc://zeromq.zap.01")))
        DoorkeeperSockets(context, requests, thread, commands, credentials, refused).run()
      } catch { report(.failure(error)) }
    }
  }

  /// Listens to a socket's events. To be called on its thread, before its bind.
  ///
  /// - Throws: ``MessagingError`` `.socket`.
  func watch(_ socket: ZMQSocket) throws(MessagingError) {
    let address = "inproc://door-\(UInt(bitPattern: socket.handle))"
    if zmq_socket_monitor(socket.handle, address, DoorkeeperSockets.events) != 0 { throw .last("monitor", address) }
    let done = WaitQueue<MessagingError?>(limit: 1)
    guard commands.append(.watch(address: address, done)) else { throw .closed }
    thread.wakeup.signal()
    // An event that nobody listens to would hold up the socket.
    if let error = done.take(until: nil) ?? .closed { throw error }
  }

  func stop() {
    commands.append(.stop)
    thread.wakeup.signal()
    thread.join()
  }
}

/// What runs on the ZAP handler's thread.
private final class DoorkeeperSockets {
  /// Accepted connections, whose address is then known, and what becomes of them.
  static let events =
    ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL

  private final class Door {
    let monitor: ZMQSocket
    /// By descriptor.
    var addresses: [Int32: String] = [:]
    /// Why the connection failed whose end is the next event.
    var failure: String?

    init(_ monitor: ZMQSocket) { self.monitor = monitor }
  }

  /// How often the list of allowed keys is read again.
  private static let listPeriod = Duration.seconds(2)

  private let context: UnsafeMutableRawPointer
  private let requests: ZMQSocket
  private let thread: SocketThread
  private let commands: WaitQueue<ZAPHandler.Command>
  private let credentials: Credentials
  private let refused: (String) -> Void
  private var doors: [Door] = []
  private var log = RefusalLog()
  private var isStopping = false

  init(
    _ context: UnsafeMutableRawPointer, _ requests: ZMQSocket, _ thread: SocketThread,
    _ commands: WaitQueue<ZAPHandler.Command>, _ credentials: Credentials, _ refused: @escaping (String) -> Void
  ) {
    self.context = context
    self.requests = requests
    self.thread = thread
    self.commands = commands
    self.credentials = credentials
    self.refused = refused
  }

  func run() {
    do throws(MessagingError) {
      var nextRefresh = ContinuousClock.now + Self.listPeriod
      while !isStopping {
        let sockets = doors.map(\.monitor) + [requests]
        _ = thread.poll(sockets.map { ($0, ZMQ_POLLIN) }, until: nextRefresh)
        if .now >= nextRefresh {
          nextRefresh = .now + Self.listPeriod
          for line in credentials.allowList.refresh() { refused(line) }
        }
        for door in doors { try listen(at: door) }
        try answer()
        for command in commands.takeAll() { perform(command) }
      }
    } catch {
      // Nobody gets in any more, which the sockets' domain enforces.
      refused("connections are no longer accepted: \(error)")
    }
    commands.close()
    for case .watch(_, let done) in commands.takeAll() { done.append(.closed) }
  }

  private func perform(_ command: ZAPHandler.Command) {
    switch command {
    case .watch(let address, let done):
      do throws(MessagingError) {
        let monitor = try ZMQSocket(.pair, context: context, limits: .monitor)
        try monitor.connect(address)
        doors.append(Door(monitor))
        done.append(nil)
      } catch { done.append(error) }
    case .stop: isStopping = true
    }
  }

  private func refuse(_ address: String, _ reason: String, _ detail: String = "") {
    guard let count = log.note(address, reason, at: .now) else { return }
    refused("refused \(count == 1 ? "a connection" : "\(count) more connections") from \(address): \(reason)\(detail)")
  }

  // MARK: Keys

  private func answer() throws(MessagingError) {
    while let received = try requests.receive() {
      guard case .message(let frames) = received, frames.count == 7 else {
        try reply(to: [], status: "500", user: "")
        continue
      }
      let purpose = SocketSecurity.Purpose(rawValue: String(decoding: frames[2].bytes, as: UTF8.self))
      guard frames[5].bytes == Array("CURVE".utf8), let purpose, let key = PublicKey(frames[6].bytes),
        credentials.admits(key, to: purpose)
      else {
        let address = String(decoding: frames[3].bytes, as: UTF8.self)
        refuse(address, "its key is not allowed", PublicKey(frames[6].bytes).map { ", \($0)" } ?? "")
        try reply(to: frames[1].bytes, status: "400", user: "")
        continue
      }
      try reply(to: frames[1].bytes, status: "200", user: key.description)
    }
  }

  /// - Parameter user: what messages of the connection carry as their User-Id.
  private func reply(to request: [UInt8], status: String, user: String) throws(MessagingError) {
    let texts = [status, status == "200" ? "OK" : "not allowed", user, ""]
    _ = try requests.send([Array("1.0".utf8), request] + texts.map { Array($0.utf8) })
  }

  // MARK: Events

  private func listen(at door: Door) throws(MessagingError) {
    while case .message(let frames)? = try door.monitor.receive() {
      guard let event = SocketEvent(frames[0]) else { continue }
      switch event.number {
      case ZMQ_EVENT_ACCEPTED:
        // Soon after, so that it is this connection that has the descriptor; only the log depends on it.
        door.addresses[event.value] = NumericAddress.ofOtherEnd(descriptor: event.value)
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: door.failure = Self.reason(ofProtocolError: event.value)
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: door.failure = Self.noKey
      case ZMQ_EVENT_DISCONNECTED:
        // A failed handshake is followed by the end of its connection at once, from the one thread that serves the socket.
        let address = door.addresses.removeValue(forKey: event.value)
        if let failure = door.failure { refuse(address ?? Self.goneAddress, failure) }
        door.failure = nil
      default: break
      }
    }
  }

  /// In place of the address of a connection that was gone again before it could be asked for.
  private static let goneAddress = "a peer that was gone at once"

  /// Who comes without keys sees that they are wanted, and may be gone before this end has seen that there are none.
  private static let noKey = "it shows no key"

  private static func reason(ofProtocolError code: Int32) -> String {
    switch code {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: noKey
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC: "it uses the keys of another job"
    default: "it does not keep to the protocol of the handshake"
    }
  }
}

/// The first frame of a socket monitor's message: what happened, and a number that depends on it.
struct SocketEvent {
  let number: Int32
  let value: Int32

  init?(_ frame: MessageFrame) {
    let parts = frame.withUnsafeBytes { bytes -> (UInt16, Int32)? in
      guard bytes.count == 6 else { return nil }
      return (bytes.loadUnaligned(as: UInt16.self), bytes.loadUnaligned(fromByteOffset: 2, as: Int32.self))
    }
    guard let parts else { return nil }
    number = Int32(parts.0)
    value = parts.1
  }
}

extension SocketLimits {
  /// For questions of the ZeroMQ Authentication Protocol, which come from this process: seven frames, small ones.
  static let authentication = SocketLimits(
    frameBytes: 4096, frames: 7, messageBytes: 8192, sendQueue: 0, receiveQueue: 0, lingerMilliseconds: 0, ioThreads: 0)
}
