import Synchronization

/// The worker's side of the control connection: a DEALER on a thread of its own.
///
/// The thread says Ready on every new connection, until it is welcomed; then it sends heartbeats, so that they go on while
/// compute threads work or hang. It connects again by itself when the coordinator goes away and comes back.
///
/// Messages given to ``send(_:)`` while the worker is not welcomed are let go: the coordinator would not take them. So the
/// owner keeps each result until ResultStored, and sends all it keeps again whenever a Welcome arrives.
public final class WorkerLink: Sendable {
  /// What the owner has to know.
  public enum Event: Sendable {
    /// A message. Pulses and requests to say Ready are dealt with by the thread and do not come through.
    case message(CoordinatorMessage)
    /// Frames that are no message. After `.otherVersion` nothing else is to be expected from this coordinator.
    case rejected(ProtocolError)
    /// Nothing has come from the coordinator for so long. Repeated after each further ``Clocks/silence``; meanwhile the
    /// thread goes on connecting and saying Ready.
    case silent(for: Duration)
    /// A connection came about, and then the two ends found that they do not belong together: keys that are missing, wrong
    /// or not allowed. Not final where it may also have been a connection that was cut. Connecting goes on; the same reason
    /// comes again after ``Clocks/refused``.
    case unsuited(reason: String, isFinal: Bool)
    /// What ``WorkerLink/post(_:)`` was given, to be run by the thread that drains.
    case posted(@Sendable () -> Void)
    /// The socket failed and the thread has ended.
    case failed(MessagingError)
  }

  /// The link's periods.
  public struct Clocks: Sendable {
    /// Between two Readys until the coordinator answers.
    public var introduction: Duration = .seconds(1)
    /// Between two Readys to a coordinator that has refused, and between two reports that it is not the one.
    public var refused: Duration = .seconds(10)
    /// Without a message for so long, the connection counts as dead and is made anew.
    public var silence: Duration = .seconds(10)

    public init() {}

    /// With reports of a silence of which one comes when it has lasted for `patience`.
    public init(patience: Duration) {
      silence = patience / max(1, (patience / silence).rounded(.up))
    }
  }

  /// The most events that wait for the owner.
  private static let eventLimit = 4096
  /// The most bytes of messages that wait for the owner.
  private static let eventByteLimit = 64 << 20
  /// The most messages that wait for the socket thread.
  private static let mailboxLimit = 1024

  private let thread: SocketThread
  private let commands = WaitQueue<[[UInt8]]>(limit: WorkerLink.mailboxLimit)
  private let events: WaitQueue<Event>
  private let held = HeldTasks()
  private let isOpen = Atomic<Bool>(true)

  /// Starts the thread. The coordinator need not be there yet.
  ///
  /// - Parameters:
  ///   - endpoint: the coordinator's.
  ///   - ready: how the worker introduces itself.
  /// - Throws: ``MessagingError`` `.badEndpoint`, `.socket`, `.unsendable` for a Ready that no coordinator would take.
  public init(
    connecting endpoint: String, as ready: WireReady, context: ZMQContext, security: SocketSecurity = .plain,
    clocks: Clocks = Clocks()
  ) throws(MessagingError) {
    let introduction: [[UInt8]]
    do { introduction = try WorkerMessage.ready(ready).frames() } catch { throw .unsendable(error) }
    _ = try Endpoint(endpoint)
    let thread = try SocketThread()
    let wakeup = thread.wakeup
    let events = WaitQueue<Event>(limit: Self.eventLimit, costLimit: Self.eventByteLimit) { wakeup.signal() }
    let (commands, held) = (commands, held)
    self.thread = thread
    self.events = events
    _ = try thread.start("worker-link") { report in
      do throws(MessagingError) {
        let dial = { () throws(MessagingError) in
          let socket = try ZMQSocket(.dealer, context: context, limits: .controlClient)
          // Without it, messages pile up for a coordinator that may never come.
          try socket.set(ZMQSocket.immediate, Int32(1), "ZMQ_IMMEDIATE")
          let monitor = try socket.monitor(
            WorkerSocket.handshakeFailures, name: "worker-link-\(UInt.random(in: 0 ... .max))")
          try security.connect(socket, to: endpoint, of: .coordinator)
          return WorkerSocket.Connection(socket: socket, monitor: monitor, hasKeys: security.publicKey != nil)
        }
        let socket = WorkerSocket(
          try dial(), dial: dial, introduction: introduction, clocks: clocks, held: held, thread, commands, events)
        report(.success(endpoint))
        socket.run()
      } catch { report(.failure(error)) }
    }
  }

  deinit { close() }

  /// Sends a message, in order with the thread's others. From any thread.
  ///
  /// - Throws: ``MessagingError`` `.unsendable`, `.queueFull` if the coordinator has not read for long, `.closed`.
  public func send(_ message: WorkerMessage) throws(MessagingError) {
    let frames: [[UInt8]]
    do { frames = try message.frames() } catch { throw .unsendable(error) }
    if !isOpen.load(ordering: .acquiring) { throw .closed }
    if !commands.offer(frames) { throw .queueFull(limit: commands.limit) }
    thread.wakeup.signal()
  }

  /// Puts a task on the list that heartbeats carry: those in hand and those whose result is not acknowledged yet.
  public func hold(_ task: WireTaskID, lease: UInt64) { held.hold(task, lease) }

  /// Takes a task from the list that heartbeats carry.
  public func letGo(lease: UInt64) { held.letGo(lease) }

  /// Sends Progress, which renews the lease, unless one was sent just before. For the thread that computes.
  /// Throws nothing: a Progress that cannot be sent is made good by the next.
  ///
  /// - Parameter note: what the task is at, for people.
  public func progress(_ task: WireTaskID, lease: UInt64, note: String) {
    guard held.isDue(lease, at: .now) else { return }
    var progress = WireProgress()
    progress.task = task
    progress.lease = lease
    progress.note = note.cut()
    try? send(.progress(progress))
  }

  /// Hands `work` to the thread that drains the events, in order with them. Never refused.
  public func post(_ work: @escaping @Sendable () -> Void) { events.append(.posted(work)) }

  /// The next event, waited for until `deadline`.
  ///
  /// - Returns: nil at the deadline, or at once when the link is closed and nothing is left.
  public func next(until deadline: ContinuousClock.Instant?) -> Event? { events.take(until: deadline) }

  /// Sends what has been posted, closes the socket and waits for the thread. Messages already on their way are delivered
  /// for two more seconds at most, while the context lives.
  public func close() {
    if !isOpen.exchange(false, ordering: .acquiringAndReleasing) { return }
    commands.close()
    thread.wakeup.signal()
    thread.join()
    events.close()
  }
}
