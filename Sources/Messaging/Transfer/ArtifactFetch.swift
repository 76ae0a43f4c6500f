/// One attempt to get one artifact from one holder. Lives on the thread that wants the artifact.
struct ArtifactFetch {
  /// Why this holder did not give it.
  struct Problem: Error {
    let reason: String
    /// Whether asking again is pointless.
    let isFinal: Bool
    /// Whether what came was not what it should be.
    var isDamage = false
  }

  /// What the socket thread hands to the fetch.
  enum Reply: Sendable {
    case chunk(WireArtifactChunk, MessageFrame)
    case refusal(WireArtifactRefusal)
    /// The connection failed or ended.
    case lost(String)
    /// The client was closed.
    case closed
  }

  /// How often the caller is asked whether it still wants the artifact, and from this holder.
  private static let cancellationPeriod = Duration.milliseconds(100)

  private let artifact: Artifact
  private let holder: ArtifactHolder
  private let policy: ArtifactClient.Policy
  private let ticket: UInt64
  private let commands: WaitQueue<ArtifactClientSockets.Command>
  private let wakeup: Wakeup
  private let replies: WaitQueue<Reply>
  private let fetchedBytes: (UInt64) -> Void
  private let isForsaken: () -> Bool

  init(
    _ artifact: Artifact, _ holder: ArtifactHolder, _ policy: ArtifactClient.Policy, _ ticket: UInt64,
    _ commands: WaitQueue<ArtifactClientSockets.Command>, _ wakeup: Wakeup, fetchedBytes: @escaping (UInt64) -> Void,
    isForsaken: @escaping () -> Bool
  ) {
    self.artifact = artifact
    self.holder = holder
    self.policy = policy
    self.ticket = ticket
    self.commands = commands
    self.wakeup = wakeup
    self.fetchedBytes = fetchedBytes
    self.isForsaken = isForsaken
    // A holder that sends more than it was asked for finds the queue full, and its chunks are let go.
    replies = WaitQueue(limit: policy.credit + 2)
  }

  private var chunkLength: UInt64 { UInt64(min(max(policy.chunkLength, 1), ArtifactMessage.chunkLimit)) }

  /// Gets the artifact.
  ///
  /// - Returns: nil when it is in the store, else what was wrong with the holder.
  /// - Throws: ``ArtifactError`` of the store, `.cancelled`, `.closed`.
  func run(into store: ArtifactStore, isCancelled: () -> Bool) throws(ArtifactError) -> Problem? {
    guard post(.join(ticket: ticket, holder: holder, replies)) else { throw .closed }
    var isSuspect = false
    defer { post(.leave(ticket: ticket, holder: holder, isSuspect: isSuspect)) }
    let writer = try store.writer()
    var asked: UInt64 = 0
    // An empty artifact is asked for too: that it is held, and that its digest is that of no bytes, is checked alike.
    var isAsked = false
    for _ in 0..<max(policy.credit, 1) where !isAsked || asked < artifact.size {
      ask(&asked)
      isAsked = true
    }
    repeat {
      let isFirst = writer.size == 0
      switch try reply(within: isFirst ? policy.firstChunkTimeout : policy.chunkTimeout, isCancelled) {
      case nil:
        isSuspect = true
        let reason = isForsaken() ? "no longer part of the job" : "no answer at byte \(writer.size)"
        // Whoever wants the artifact has waited long enough, and has it made elsewhere.
        return Problem(reason: reason, isFinal: true)
      case .closed?: throw .closed
      case .lost(let reason)?: return Problem(reason: reason, isFinal: false)
      case .refusal(let refusal)?:
        return Problem(reason: refusal.text.isEmpty ? "\(refusal.code)" : refusal.text, isFinal: refusal.code != .busy)
      case .chunk(let chunk, let data)?:
        if let fault = fault(of: chunk, data, at: writer.size) {
          return Problem(reason: "\(fault) at byte \(writer.size)", isFinal: false, isDamage: true)
        }
        try data.withUnsafeBytes { bytes throws(ArtifactError) in try writer.write(bytes) }
        fetchedBytes(UInt64(data.count))
        if asked < artifact.size { ask(&asked) }
      }
    } while writer.size < artifact.size
    do { try writer.finish(expecting: artifact) } catch {
      guard case .mismatch(_, let found) = error else { throw error }
      return Problem(reason: "sent bytes of digest \(found.digest.short)", isFinal: true, isDamage: true)
    }
    return nil
  }

  /// - Returns: false if the client is closed.
  @discardableResult
  private func post(_ command: ArtifactClientSockets.Command) -> Bool {
    defer { wakeup.signal() }
    return commands.append(command)
  }

  /// Asks for the chunk at `offset` and moves it on.
  private func ask(_ offset: inout UInt64) {
    var request = WireArtifactRequest()
    request.ticket = ticket
    request.digest = artifact.digest.data
    request.offset = offset
    request.length = UInt32(length(at: offset))
    offset += UInt64(request.length)
    // Encoding cannot fail: digest and length are within what the codec checks.
    if let frames = try? ArtifactMessage.request(request).frames() {
      post(.request(ticket: ticket, holder: holder, frames))
    }
  }

  private func length(at offset: UInt64) -> UInt64 { min(chunkLength, artifact.size - offset) }

  /// - Returns: nil when the time is up, or the holder given up.
  private func reply(within timeout: Duration, _ isCancelled: () -> Bool) throws(ArtifactError) -> Reply? {
    let deadline = ContinuousClock.now + timeout
    while true {
      if isCancelled() { throw .cancelled(artifact.digest) }
      let now = ContinuousClock.now
      if let reply = replies.take(until: min(deadline, now + Self.cancellationPeriod)) { return reply }
      if now >= deadline || isForsaken() { return nil }
    }
  }

  /// What is wrong with a chunk; nil if it is the one that was asked for and undamaged.
  private func fault(of chunk: WireArtifactChunk, _ data: MessageFrame, at offset: UInt64) -> String? {
    if chunk.digest != artifact.digest.data { return "a chunk of another artifact" }
    if chunk.totalSize != artifact.size { return "an artifact of \(chunk.totalSize) bytes, not \(artifact.size)," }
    if chunk.offset != offset { return "a chunk for byte \(chunk.offset)" }
    if data.count != length(at: offset) { return "a chunk of \(data.count) bytes, not \(length(at: offset))," }
    if chunk.crc32C != data.withUnsafeBytes({ CRC32C.of($0) }) { return "a corrupted chunk" }
    return nil
  }
}
