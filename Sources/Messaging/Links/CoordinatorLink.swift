import Synchronization

/// The coordinator's side of the control connections: a ROUTER on a thread of its own.
///
/// The thread decodes what arrives into a bounded queue that one thread of the owner drains with ``next(until:)``; when the
/// queue is full, nothing more is read and the workers' sends wait. It answers heartbeats, refuses other protocol versions,
/// and asks connections that have not said Ready to do so, without the owner.
public final class CoordinatorLink: Sendable {
  /// What the owner has to know.
  public enum Event: Sendable {
    /// A message. The first of each connection is Ready; heartbeats come through after the thread has answered them.
    case message(WorkerMessage, from: Peer)
    /// Frames that are no message. Reported for the first, second, fourth, … of a connection; `count` says which this is.
    case rejected(ProtocolError, from: Peer, count: Int)
    /// Messages that were not read, of an offender by address and key. Reported once, and then once an hour with their number.
    case refused(String, reason: String, count: Int)
    /// The key of a connection that had said Ready is no longer allowed; nothing more of it comes through.
    case withdrawn(Peer)
    /// A message that its worker did not get.
    case undelivered(CoordinatorMessage, to: Peer, Reason)
    /// What ``CoordinatorLink/post(_:)`` was given, to be run by the thread that drains.
    case posted(@Sendable () -> Void)
    /// The socket failed and the thread has ended.
    case failed(MessagingError)
  }

  /// Why a message was not delivered.
  public enum Reason: Sendable, Equatable {
    /// There is no such connection any more.
    case vanished
    /// The worker does not read: ``CoordinatorLink/backlogLimit`` messages wait for it.
    case congested
  }

  /// The most events that wait for the owner.
  package static let eventLimit = 4096
  /// The most bytes of messages that wait for the owner.
  private static let eventByteLimit = 64 << 20
  /// The most messages that wait for the socket thread.
  private static let mailboxLimit = 16_384
  /// The most messages that wait for one worker whose connection is full.
  public static let backlogLimit = 256

  /// Where workers connect: the bound endpoint with the port that was chosen.
  public let endpoint: String

  private let thread: SocketThread
  private let commands = WaitQueue<CoordinatorSocket.Command>(limit: CoordinatorLink.mailboxLimit)
  private let events: WaitQueue<Event>
  private let isOpen = Atomic<Bool>(true)

  /// Binds `endpoint` (`tcp://127.0.0.1:*` for any free port) and starts the thread.
  ///
  /// - Throws: ``MessagingError`` `.endpointInUse`, `.badEndpoint`, `.unprotected`, `.socket`.
  public convenience init(
    binding endpoint: String, context: ZMQContext, security: SocketSecurity = .plain
  ) throws(MessagingError) {
    try self.init(binding: endpoint, context: context, security: security, limits: .control)
  }

  package init(
    binding endpoint: String, context: ZMQContext, security: SocketSecurity, limits: SocketLimits,
    eventLimit: Int = CoordinatorLink.eventLimit, messagesPerSecond: Int = RequestBudgets.control
  ) throws(MessagingError) {
    let thread = try SocketThread()
    let wakeup = thread.wakeup
    let events = WaitQueue<Event>(limit: eventLimit, costLimit: Self.eventByteLimit) { wakeup.signal() }
    let commands = commands
    self.thread = thread
    self.events = events
    self.endpoint = try thread.start("coordinator-link") { report in
      do throws(MessagingError) {
        let socket = try ZMQSocket(.router, context: context, limits: limits)
        report(.success(try security.bind(socket, to: endpoint, for: .control)))
        CoordinatorSocket(
          socket, security, messagesPerSecond: messagesPerSecond, thread, commands, events
        ).run()
      } catch { report(.failure(error)) }
    }
  }

  deinit { close() }

  /// Sends a message. It is on its way when this returns; if it cannot be delivered, ``Event/undelivered(_:to:_:)`` follows.
  /// From any thread; messages of one thread to one worker arrive in order.
  ///
  /// - Throws: ``MessagingError`` `.unsendable`, `.queueFull`, `.closed`.
  public func send(_ message: CoordinatorMessage, to peer: Peer) throws(MessagingError) {
    let frames: [[UInt8]]
    do { frames = try message.frames() } catch { throw .unsendable(error) }
    try post(.send(.init(peer: peer, message: message, frames: frames)))
  }

  /// Makes a connection say Ready again before anything else of it comes through. For workers that are given up as lost
  /// and may come back.
  public func forget(_ peer: Peer) {
    // Over the mailbox's limit too: one that is not forgotten never says Ready again, and there is one of it a lost worker.
    if isOpen.load(ordering: .acquiring), commands.append(.forget(peer)) { thread.wakeup.signal() }
  }

  private func post(_ command: CoordinatorSocket.Command) throws(MessagingError) {
    if !isOpen.load(ordering: .acquiring) { throw .closed }
    if !commands.offer(command) { throw .queueFull(limit: commands.limit) }
    thread.wakeup.signal()
  }

  /// Hands `work` to the thread that drains the events, in order with them. Never refused: senders bound it themselves,
  /// as each waits for the work it posted or posts once a task.
  public func post(_ work: @escaping @Sendable () -> Void) { events.append(.posted(work)) }

  /// The next event, waited for until `deadline`.
  ///
  /// - Returns: nil at the deadline, or at once when the link is closed and nothing is left.
  public func next(until deadline: ContinuousClock.Instant?) -> Event? { events.take(until: deadline) }

  /// Sends what has been posted, closes the socket and waits for the thread. Messages already on their way are delivered
  /// for two more seconds at most, while the context lives.
  public func close() {
    if !isOpen.exchange(false, ordering: .acquiringAndReleasing) { return }
    commands.append(.stop)
    thread.wakeup.signal()
    thread.join()
    events.close()
  }
}
