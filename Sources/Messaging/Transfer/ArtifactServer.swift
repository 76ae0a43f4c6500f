import Logging
import Synchronization

/// Serves the artifacts of a source to whoever asks for a digest: a ROUTER on a thread of its own, so that large transfers
/// never delay a heartbeat. It knows digests only, no paths, and one source at a time: that of the job.
public final class ArtifactServer: Sendable {
  /// Where others fetch from: the bound endpoint with the port that was chosen. See ``Endpoint/isWildcard``.
  public let endpoint: String

  private let thread: SocketThread
  private let counters = Counters()
  private let served: Served
  private let budget: SendBudget
  private let isOpen = Atomic<Bool>(true)

  /// Written by the thread, read by anyone.
  final class Counters: Sendable {
    let bytes = Atomic<UInt64>(0)
    let refusals = Atomic<UInt64>(0)
    let isStopping = Atomic<Bool>(false)
  }

  /// What requests are answered from; set by anyone, read by the thread.
  final class Served: Sendable {
    private let current: Mutex<(any ArtifactSource)?>

    init(_ source: (any ArtifactSource)?) { current = Mutex(source) }

    var source: (any ArtifactSource)? {
      get { current.withLock { $0 } }
      set { current.withLock { $0 = newValue } }
    }
  }

  /// Binds `endpoint` (`tcp://127.0.0.1:*` for any free port) and starts the thread.
  ///
  /// - Parameter source: nil as long as there is nothing to be had; see ``serve(_:)``.
  /// - Throws: ``MessagingError`` `.endpointInUse`, `.badEndpoint`, `.unprotected`, `.socket`.
  public convenience init(
    binding endpoint: String, serving source: (any ArtifactSource)?, context: ZMQContext,
    security: SocketSecurity = .plain, logger: Logger = Logger(label: "artifact-server")
  ) throws(MessagingError) {
    try self.init(
      binding: endpoint, serving: source, context: context, security: security, logger: logger,
      sendLimits: SendBudget.Limits())
  }

  package init(
    binding endpoint: String, serving source: (any ArtifactSource)?, context: ZMQContext,
    security: SocketSecurity = .plain, logger: Logger = Logger(label: "artifact-server"),
    sendLimits: SendBudget.Limits
  ) throws(MessagingError) {
    let thread = try SocketThread()
    let counters = counters
    let served = Served(source)
    let budget = SendBudget(sendLimits) { [wakeup = thread.wakeup] in wakeup.signal() }
    self.thread = thread
    self.served = served
    self.budget = budget
    self.endpoint = try thread.start("artifact-server") { report in
      do throws(MessagingError) {
        let socket = try ZMQSocket(.router, context: context, limits: .artifactServer)
        report(.success(try security.bind(socket, to: endpoint, for: .artifacts)))
        ArtifactServerSocket(socket, security, thread, served, budget, counters, logger).run()
      } catch { report(.failure(error)) }
    }
  }

  deinit { close() }

  /// Answers requests from another source from now on, and from no other: what the old one holds is nobody's business.
  public func serve(_ source: any ArtifactSource) { served.source = source }

  /// Bytes of chunks sent so far.
  package var bytesServed: UInt64 { counters.bytes.load(ordering: .relaxed) }

  /// Bytes of chunks that are in memory: those that libzmq has not sent yet.
  package var bytesUnsent: Int { budget.bytes }

  /// Requests answered with a refusal so far, and messages that were no requests.
  package var refusals: UInt64 { counters.refusals.load(ordering: .relaxed) }

  /// Closes the socket and waits for the thread. Fetches from here go on with another holder.
  public func close() {
    if !isOpen.exchange(false, ordering: .acquiringAndReleasing) { return }
    counters.isStopping.store(true, ordering: .releasing)
    thread.wakeup.signal()
    thread.join()
  }
}
