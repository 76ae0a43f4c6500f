import Foundation
import Logging
import Synchronization

/// Fetches artifacts from the processes that hold them.
///
/// One thread owns the connections, one to each holder; any number of task threads call ``fetch(_:from:into:chunkPatience:isCancelled:)``,
/// check and write their chunks themselves, and ask for more as they do.
public final class ArtifactClient: Sendable {
  /// What a fetch asks for at once, and how long it waits.
  public struct Policy: Sendable {
    /// Bytes of a chunk, at most 4 MiB.
    public var chunkLength = 1 << 20
    /// Chunks asked for and not yet written.
    public var credit = 8
    /// For the first chunk: the holder may have to check the artifact's digest before.
    public var firstChunkTimeout = Duration.seconds(30)
    /// For every further chunk.
    public var chunkTimeout = Duration.seconds(10)
    /// How often the holders are gone through; those that do not have the artifact, sent a wrong one or did not answer,
    /// once only.
    public var rounds = 3
    /// Before each round but the first.
    public var roundPause = Duration.milliseconds(300)

    public init() {}

    func patient(_ patience: Duration?) -> Policy {
      guard let patience else { return self }
      var policy = self
      policy.firstChunkTimeout = max(firstChunkTimeout, patience)
      policy.chunkTimeout = max(chunkTimeout, patience)
      return policy
    }
  }

  private let policy: Policy
  private let noted: @Sendable (String) -> Void
  private let thread: SocketThread
  private let commands = WaitQueue<ArtifactClientSockets.Command>(limit: .max)
  private let nextTicket = Atomic<UInt64>(UInt64.random(in: 0...UInt64.max / 2))
  private let fetchedBytes = Atomic<UInt64>(0)
  private let isOpen = Atomic<Bool>(true)
  /// Endpoints from which nothing is to be had, at most ``forsakenLimit``.
  private let forsaken = Mutex<Set<String>>([])
  private let damages = Mutex(RefusalLog())

  /// Forgetting one costs a fetch its timeout, no more.
  private static let forsakenLimit = 4096

  /// What is being fetched into which directory; a second fetch of the same waits for the first.
  private struct Target: Hashable {
    let digest: Digest
    let directory: String
  }
  private let condition = NSCondition()
  // Guarded by `condition`.
  nonisolated(unsafe) private var targets: Set<Target> = []

  /// Starts the thread.
  ///
  /// - Parameter noted: is given a line for the log when something came damaged: for a holder once, and then at most every hour.
  /// - Throws: ``MessagingError`` `.socket`.
  public init(
    context: ZMQContext, security: SocketSecurity = .plain, policy: Policy = Policy(),
    noted: @escaping @Sendable (String) -> Void = { Logger(label: "artifact-client").warning("\($0)") }
  ) throws(MessagingError) {
    self.policy = policy
    self.noted = noted
    let thread = try SocketThread()
    let commands = commands
    self.thread = thread
    _ = try thread.start("artifact-client") { report in
      report(.success(""))
      ArtifactClientSockets(context, security, thread, commands).run()
    }
  }

  deinit { close() }

  /// Bytes of chunks received and checked so far.
  package var bytesFetched: UInt64 { fetchedBytes.load(ordering: .relaxed) }

  /// Brings an artifact into a store, from the first holder that can give it. Blocks its thread; not for the cooperative
  /// pool. Returns at once if the store has it.
  ///
  /// - Parameters:
  ///   - artifact: digest and length; the bytes received are checked against both.
  ///   - holders: preferred first.
  ///   - chunkPatience: how long the next chunk is waited for at least; nil for what the policy says.
  ///   - isCancelled: asked several times a second.
  /// - Throws: ``ArtifactError`` `.unavailable` with a reason for each holder, `.cancelled`, `.closed`; what the store
  ///   throws. Nothing is then stored.
  public func fetch(
    _ artifact: Artifact, from holders: [ArtifactHolder], into store: ArtifactStore, chunkPatience: Duration? = nil,
    isCancelled: @Sendable () -> Bool = { false }
  ) throws(ArtifactError) {
    let policy = policy.patient(chunkPatience)
    let target = Target(digest: artifact.digest, directory: store.directory)
    try begin(target, isCancelled)
    defer { end(target) }
    if store.contains(artifact.digest, size: artifact.size) {
      // Checks the bytes; a corrupted file is removed, and fetched as if it had never been there.
      if (try? store.file(artifact.digest, size: artifact.size)) != nil { return }
    }
    var failures: [ArtifactHolder: String] = [:]
    var isOut: Set<ArtifactHolder> = []
    for round in 0..<max(policy.rounds, 1) {
      let left = holders.filter { !isOut.contains($0) }
      if left.isEmpty { break }
      if round > 0 { try pause(artifact, isCancelled) }
      for holder in left {
        if !isOpen.load(ordering: .acquiring) { throw .closed }
        let fetch = ArtifactFetch(
          artifact, holder, policy, nextTicket.wrappingAdd(1, ordering: .relaxed).newValue, commands, thread.wakeup,
          fetchedBytes: { self.fetchedBytes.wrappingAdd($0, ordering: .relaxed) },
          isForsaken: { self.forsaken.withLock { $0.contains(holder.endpoint) } })
        guard let problem = try fetch.run(into: store, isCancelled: isCancelled) else { return }
        failures[holder] = problem.reason
        if problem.isDamage { note(problem, artifact, holder) }
        if problem.isFinal { isOut.insert(holder) }
      }
    }
    throw .unavailable(
      artifact, holders.map { .init(endpoint: $0.endpoint, reason: failures[$0] ?? "not asked") })
  }

  /// Gives up all fetches from a holder, those under way and those to come, until ``trust(_:)``. For one that does not
  /// answer and will not be waited for. From any thread.
  public func forsake(_ endpoint: String) {
    forsaken.withLock { forsaken in
      if forsaken.count >= Self.forsakenLimit { forsaken.removeAll() }
      forsaken.insert(endpoint)
    }
  }

  /// Takes ``forsake(_:)`` back. From any thread.
  public func trust(_ endpoints: some Sequence<String>) { forsaken.withLock { $0.subtract(endpoints) } }

  /// What came damaged is asked for again, and may well come whole: only the log knows of it.
  private func note(_ problem: ArtifactFetch.Problem, _ artifact: Artifact, _ holder: ArtifactHolder) {
    guard let count = damages.withLock({ $0.note(holder.endpoint, "damage", at: .now) }) else { return }
    let more = count == 1 ? "" : "; \(count - 1) others since the last such line"
    noted("artifact \(artifact.digest.short) from \(holder.endpoint): \(problem.reason), not used\(more)")
  }

  private func begin(_ target: Target, _ isCancelled: () -> Bool) throws(ArtifactError) {
    condition.lock()
    defer { condition.unlock() }
    while targets.contains(target) {
      if isCancelled() { throw .cancelled(target.digest) }
      _ = condition.wait(until: Date(timeIntervalSinceNow: 0.1))
    }
    targets.insert(target)
  }

  private func end(_ target: Target) {
    condition.lock()
    targets.remove(target)
    condition.broadcast()
    condition.unlock()
  }

  private func pause(_ artifact: Artifact, _ isCancelled: () -> Bool) throws(ArtifactError) {
    let end = ContinuousClock.now + policy.roundPause
    while .now < end {
      if isCancelled() { throw .cancelled(artifact.digest) }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  /// Closes the connections and waits for the thread. Fetches that go on end with `.closed`.
  public func close() {
    if !isOpen.exchange(false, ordering: .acquiringAndReleasing) { return }
    commands.append(.stop)
    thread.wakeup.signal()
    thread.join()
  }
}
