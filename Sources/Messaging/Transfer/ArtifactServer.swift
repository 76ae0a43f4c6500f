import Logging
import Synchronization

/// Serves the artifacts of a store to whoever asks for a digest: a ROUTER on a thread of its own, so that large transfers
/// never delay a heartbeat. It knows digests only, no paths.
public final class ArtifactServer: Sendable {
  /// Where others fetch from: the bound endpoint with the port that was chosen. See ``Endpoint/isWildcard``.
  public let endpoint: String

  private let thread: SocketThread
  private let counters = Counters()
  private let isOpen = Atomic<Bool>(true)

  /// Written by the thread, read by anyone.
  final class Counters: Sendable {
    let bytes = Atomic<UInt64>(0)
    let refusals = Atomic<UInt64>(0)
    let isStopping = Atomic<Bool>(false)
  }

  /// Binds `endpoint` (`tcp://127.0.0.1:*` for any free port) and starts the thread.
  ///
  /// - Throws: ``MessagingError`` `.endpointInUse`, `.badEndpoint`, `.socket`.
  public init(
    binding endpoint: String, serving store: ArtifactStore, context: ZMQContext, security: SocketSecurity = .plain,
    logger: Logger = Logger(label: "artifact-server")
  ) throws(MessagingError) {
    let thread = try SocketThread()
    let counters = counters
    self.thread = thread
    self.endpoint = try thread.start("artifact-server") { report in
      do throws(MessagingError) {
        let socket = try ZMQSocket(.router, context: context, limits: .artifactServer)
        try security.apply(to: socket, as: .server)
        report(.success(try socket.bind(endpoint)))
        ArtifactServerSocket(socket, thread, store, counters, logger).run()
      } catch { report(.failure(error)) }
    }
  }

  deinit { close() }

  /// Bytes of chunks sent so far.
  public var bytesServed: UInt64 { counters.bytes.load(ordering: .relaxed) }

  /// Requests answered with a refusal so far, and messages that were no requests.
  public var refusals: UInt64 { counters.refusals.load(ordering: .relaxed) }

  /// Closes the socket and waits for the thread. Fetches from here go on with another holder.
  public func close() {
    if !isOpen.exchange(false, ordering: .acquiringAndReleasing) { return }
    counters.isStopping.store(true, ordering: .releasing)
    thread.wakeup.signal()
    thread.join()
  }
}
