import CZeroMQ
import Logging

/// What runs on the artifact server's thread.
final class ArtifactServerSocket {
  /// A peer whose connection is full: the answer that did not fit, and the requests behind it.
  private struct Blocked {
    var frames: [[UInt8]]
    var data: MessageFrame?
    var requests: [WireArtifactRequest] = []
    /// Where the peer connects from.
    var address: String
  }

  private struct OpenArtifact {
    let file: any ReadableArtifact
    var lastUse: ContinuousClock.Instant
  }

  private static let readBatch = 64
  private static let retryPause = Duration.milliseconds(5)
  /// Requests that wait behind a full connection; more are let go, and their fetch tries again.
  private static let requestLimit = 1024
  /// Peers that are waited for at once; each keeps one chunk in memory.
  private static let blockedLimit = 64
  private static let openFileLimit = 32
  /// A file not asked for so long is closed: a removed artifact keeps its space while it is open.
  private static let openFileIdle = Duration.seconds(2)

  private let socket: ZMQSocket
  private let security: SocketSecurity
  private let thread: SocketThread
  private let served: ArtifactServer.Served
  /// What the open files are from.
  private var source: (any ArtifactSource)?
  private let counters: ArtifactServer.Counters
  private let logger: Logger

  private var blocked: [[UInt8]: Blocked] = [:]
  private var openFiles: [Digest: OpenArtifact] = [:]
  private var budgets = RequestBudgets(perSecond: RequestBudgets.requests)
  private var log = RefusalLog()

  init(
    _ socket: ZMQSocket, _ security: SocketSecurity, _ thread: SocketThread, _ served: ArtifactServer.Served,
    _ counters: ArtifactServer.Counters, _ logger: Logger
  ) {
    self.socket = socket
    self.security = security
    self.thread = thread
    self.served = served
    self.counters = counters
    self.logger = logger
  }

  func run() {
    do throws(MessagingError) {
      while !counters.isStopping.load(ordering: .acquiring) {
        _ = thread.poll([(socket, ZMQ_POLLIN)], until: nextDeadline)
        try sendBlocked()
        try read()
        closeIdleFiles()
      }
    } catch {
      logger.error("artifact server stopped: \(error)")
    }
  }

  private var nextDeadline: ContinuousClock.Instant? {
    if !blocked.isEmpty { return .now + Self.retryPause }
    return openFiles.isEmpty ? nil : .now + Self.openFileIdle
  }

  // MARK: Requests

  private func read() throws(MessagingError) {
    for _ in 0..<Self.readBatch {
      guard let received = try socket.receive() else { return }
      switch received {
      case .dropped(let first, let last, let frames, let bytes):
        reject(.overLimits(frames: frames - 1, bytes: bytes - first.count), from: last.peerAddress ?? "unknown")
      case .message(let frames): try take(frames)
      }
    }
    thread.wakeup.signal()
  }

  private func take(_ frames: [MessageFrame]) throws(MessagingError) {
    let peer = frames[0].bytes
    let address = frames.last?.peerAddress ?? "unknown"
    guard security.admits(frames.last?.peerKey, to: .artifacts) else {
      counters.refusals.wrappingAdd(1, ordering: .relaxed)
      return refused(address, "its key is no longer allowed", "")
    }
    guard budgets.spend(peer, at: .now) else {
      counters.refusals.wrappingAdd(1, ordering: .relaxed)
      return refused(address, "more than \(budgets.perSecond) requests a second", "")
    }
    do throws(ProtocolError) {
      guard frames.count > 1 else { throw .frameCount(expected: 2, got: 0) }
      let message = try ArtifactMessage(
        header: frames[1].bytes, payload: frames.count > 2 ? frames[2].bytes : nil,
        dataLengths: frames.dropFirst(3).map(\.count))
      guard case .request(let request) = message else { throw .unexpectedKind(message.kind) }
      accept(request, from: peer, at: address)
    } catch { return reject(error, from: address) }
    try sendBlocked(peer)
  }

  private func accept(_ request: WireArtifactRequest, from peer: [UInt8], at address: String) {
    if let count = blocked[peer]?.requests.count {
      if count < Self.requestLimit { blocked[peer]?.requests.append(request) }
    } else if blocked.count < Self.blockedLimit {
      blocked[peer] = answer(request, for: address)
    } else {
      // So that it asks again soon. There is room on its connection, unless it asks for more than it reads.
      let frames = refusal(request, .busy, "too many others do not read", "too many that do not read", for: address)
      _ = try? socket.send([peer] + frames)
    }
  }

  private func reject(_ error: ProtocolError, from address: String) {
    counters.refusals.wrappingAdd(1, ordering: .relaxed)
    refused(address, "no request", ": \(error)")
  }

  private func refused(_ address: String, _ kind: String, _ detail: String) {
    guard let count = log.note(address, kind, at: .now) else { return }
    let requests = count == 1 ? "a request" : "\(count) more requests"
    logger.warning("refused \(requests) from \(address) at \(socket.endpoint): \(kind)\(detail)")
  }

  // MARK: Answers

  private func sendBlocked() throws(MessagingError) {
    for peer in Array(blocked.keys) { try sendBlocked(peer) }
  }

  /// Sends a peer's answers until its connection is full or no request is left.
  private func sendBlocked(_ peer: [UInt8]) throws(MessagingError) {
    while let waiting = blocked[peer] {
      // Counted before: a frame that is sent belongs to libzmq and is empty afterwards.
      let count = waiting.data?.count ?? 0
      switch try socket.send([peer] + waiting.frames, data: waiting.data) {
      case .wouldBlock: return
      case .unreachable: blocked[peer] = nil
      case .sent:
        counters.bytes.wrappingAdd(UInt64(count), ordering: .relaxed)
        guard let next = waiting.requests.first else {
          blocked[peer] = nil
          return
        }
        var answer = answer(next, for: waiting.address)
        answer.requests = Array(waiting.requests.dropFirst())
        blocked[peer] = answer
      }
    }
  }

  private func answer(_ request: WireArtifactRequest, for address: String) -> Blocked {
    var frames: [[UInt8]]
    var data: MessageFrame?
    do throws(ArtifactError) { (frames, data) = try chunk(request, for: address) } catch {
      switch error {
      case .notFound: frames = refusal(request, .notFound, error.description, "no such artifact", for: address)
      case .corrupted: frames = refusal(request, .notFound, error.description, "a corrupted artifact", for: address)
      default: frames = refusal(request, .busy, error.description, "cannot be read", for: address)
      }
    }
    return Blocked(frames: frames, data: data, address: address)
  }

  private func chunk(
    _ request: WireArtifactRequest, for address: String
  ) throws(ArtifactError) -> (frames: [[UInt8]], data: MessageFrame?) {
    // The codec has checked the digest's length, the request's length and that their sum does not overflow.
    guard let digest = Digest(request.digest) else {
      return (refusal(request, .badRange, "no digest", "no digest", for: address), nil)
    }
    let file = try file(digest)
    let size = file.artifact.size
    let isInside = request.offset + UInt64(request.length) <= size
    guard isInside, request.length > 0 || size == 0 else {
      let text = "\(request.length) bytes at \(request.offset) are not in an artifact of \(size) bytes"
      return (refusal(request, .badRange, text, "a range that makes no sense", for: address), nil)
    }
    guard let data = try? MessageFrame(count: Int(request.length)) else {
      return (refusal(request, .busy, "out of memory", "out of memory", for: address), nil)
    }
    try data.withUnsafeMutableBytes { bytes throws(ArtifactError) in try file.read(into: bytes, at: request.offset) }
    var chunk = WireArtifactChunk()
    chunk.ticket = request.ticket
    chunk.digest = request.digest
    chunk.offset = request.offset
    chunk.totalSize = size
    chunk.crc32C = data.withUnsafeBytes { CRC32C.of($0) }
    guard let frames = try? ArtifactMessage.chunk(chunk).frames() else {
      return (refusal(request, .busy, "cannot be encoded", "cannot be encoded", for: address), nil)
    }
    return (frames, data)
  }

  private func refusal(
    _ request: WireArtifactRequest, _ code: WireArtifactErrorCode, _ text: String, _ kind: String, for address: String
  ) -> [[UInt8]] {
    counters.refusals.wrappingAdd(1, ordering: .relaxed)
    refused(address, kind, ": \(text)")
    var refusal = WireArtifactRefusal()
    refusal.ticket = request.ticket
    refusal.digest = request.digest
    refusal.code = code
    refusal.text = text.cut()
    return (try? ArtifactMessage.refusal(refusal).frames()) ?? []
  }

  // MARK: Files

  private func enterSource() {
    let current = served.source
    if current === source { return }
    source = current
    openFiles.removeAll()
  }

  private func file(_ digest: Digest) throws(ArtifactError) -> any ReadableArtifact {
    enterSource()
    guard let source else { throw .notFound(digest, directory: "a worker without a job") }
    let now = ContinuousClock.now
    if let open = openFiles[digest], source.contains(digest, size: open.file.artifact.size) {
      openFiles[digest]?.lastUse = now
      return open.file
    }
    openFiles[digest] = nil
    let file = try source.readable(digest)
    if openFiles.count >= Self.openFileLimit, let oldest = openFiles.min(by: { $0.value.lastUse < $1.value.lastUse }) {
      openFiles[oldest.key] = nil
    }
    openFiles[digest] = OpenArtifact(file: file, lastUse: now)
    return file
  }

  private func closeIdleFiles() {
    if openFiles.isEmpty { return }
    let limit = ContinuousClock.now - Self.openFileIdle
    openFiles = openFiles.filter { $0.value.lastUse > limit }
  }
}
