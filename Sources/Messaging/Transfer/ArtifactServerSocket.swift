import CZeroMQ
import Logging

/// What runs on the artifact server's thread.
final class ArtifactServerSocket {
  /// A peer whose connection is full: the answer that did not fit, and the requests behind it.
  private struct Blocked {
    var frames: [[UInt8]]
    var data: MessageFrame?
    var requests: [WireArtifactRequest] = []
  }

  private struct OpenFile {
    let file: ArtifactFile
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
  private let thread: SocketThread
  private let store: ArtifactStore
  private let counters: ArtifactServer.Counters
  private let logger: Logger

  private var blocked: [[UInt8]: Blocked] = [:]
  private var openFiles: [Digest: OpenFile] = [:]
  private var rejections = 0

  init(
    _ socket: ZMQSocket, _ thread: SocketThread, _ store: ArtifactStore, _ counters: ArtifactServer.Counters,
    _ logger: Logger
  ) {
    self.socket = socket
    self.thread = thread
    self.store = store
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
      case .dropped(let first, let frames, let bytes):
        reject(.overLimits(frames: frames - 1, bytes: bytes - first.count), from: first.peerAddress)
      case .message(let frames): try take(frames)
      }
    }
    thread.wakeup.signal()
  }

  private func take(_ frames: [MessageFrame]) throws(MessagingError) {
    let peer = frames[0].bytes
    do throws(ProtocolError) {
      guard frames.count > 1 else { throw .frameCount(expected: 2, got: 0) }
      let message = try ArtifactMessage(
        header: frames[1].bytes, payload: frames.count > 2 ? frames[2].bytes : nil,
        dataLengths: frames.dropFirst(3).map(\.count))
      guard case .request(let request) = message else { throw .unexpectedKind(message.kind) }
      accept(request, from: peer)
    } catch { return reject(error, from: frames.last?.peerAddress) }
    try sendBlocked(peer)
  }

  private func accept(_ request: WireArtifactRequest, from peer: [UInt8]) {
    if blocked[peer] != nil {
      if blocked[peer, default: Blocked(frames: [])].requests.count < Self.requestLimit {
        blocked[peer]?.requests.append(request)
      }
    } else if blocked.count < Self.blockedLimit {
      blocked[peer] = answer(request)
    }
  }

  private func reject(_ error: ProtocolError, from address: String?) {
    counters.refusals.wrappingAdd(1, ordering: .relaxed)
    rejections += 1
    if rejections & (rejections - 1) == 0 {
      logger.warning("rejected message \(rejections) at \(socket.endpoint), from \(address ?? "unknown"): \(error)")
    }
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
        var answer = answer(next)
        answer.requests = Array(waiting.requests.dropFirst())
        blocked[peer] = answer
      }
    }
  }

  private func answer(_ request: WireArtifactRequest) -> Blocked {
    do throws(ArtifactError) { return try chunk(request) } catch {
      switch error {
      case .notFound, .corrupted: return refusal(request, .notFound, error.description)
      default: return refusal(request, .busy, error.description)
      }
    }
  }

  private func chunk(_ request: WireArtifactRequest) throws(ArtifactError) -> Blocked {
    // The codec has checked the digest's length, the request's length and that their sum does not overflow.
    guard let digest = Digest(request.digest) else { return refusal(request, .badRange, "no digest") }
    let file = try file(digest)
    let size = file.artifact.size
    let isInside = request.offset + UInt64(request.length) <= size
    guard isInside, request.length > 0 || size == 0 else {
      return refusal(
        request, .badRange,
        "\(request.length) bytes at \(request.offset) are not in an artifact of \(size) bytes")
    }
    guard let data = try? MessageFrame(count: Int(request.length)) else {
      return refusal(request, .busy, "out of memory")
    }
    try data.withUnsafeMutableBytes { bytes throws(ArtifactError) in try file.read(into: bytes, at: request.offset) }
    var chunk = WireArtifactChunk()
    chunk.ticket = request.ticket
    chunk.digest = request.digest
    chunk.offset = request.offset
    chunk.totalSize = size
    chunk.crc32C = data.withUnsafeBytes { CRC32C.of($0) }
    guard let frames = try? ArtifactMessage.chunk(chunk).frames() else {
      return refusal(request, .busy, "cannot be encoded")
    }
    return Blocked(frames: frames, data: data)
  }

  private func refusal(_ request: WireArtifactRequest, _ code: WireArtifactErrorCode, _ text: String) -> Blocked {
    counters.refusals.wrappingAdd(1, ordering: .relaxed)
    var refusal = WireArtifactRefusal()
    refusal.ticket = request.ticket
    refusal.digest = request.digest
    refusal.code = code
    refusal.text = text.cut()
    return Blocked(frames: (try? ArtifactMessage.refusal(refusal).frames()) ?? [])
  }

  // MARK: Files

  private func file(_ digest: Digest) throws(ArtifactError) -> ArtifactFile {
    let now = ContinuousClock.now
    if let open = openFiles[digest], store.contains(digest, size: open.file.artifact.size) {
      openFiles[digest]?.lastUse = now
      return open.file
    }
    openFiles[digest] = nil
    let file = try store.file(digest)
    if openFiles.count >= Self.openFileLimit, let oldest = openFiles.min(by: { $0.value.lastUse < $1.value.lastUse }) {
      openFiles[oldest.key] = nil
    }
    openFiles[digest] = OpenFile(file: file, lastUse: now)
    return file
  }

  private func closeIdleFiles() {
    if openFiles.isEmpty { return }
    let limit = ContinuousClock.now - Self.openFileIdle
    openFiles = openFiles.filter { $0.value.lastUse > limit }
  }
}
