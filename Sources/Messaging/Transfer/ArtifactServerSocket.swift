import CZeroMQ
import Logging

/// What runs on the artifact server's thread.
final class ArtifactServerSocket {
  /// A peer that has asked for something and has not been answered yet.
  private struct WaitingPeer {
    let routingID: [UInt8]
    /// Where it connects from.
    let address: String
    var requests: [WireArtifactRequest]
    /// The answer to the request before those, if its connection had no room for it.
    var unsent: Answer?
  }

  private struct Answer {
    var frames: [[UInt8]]
    var data: MessageFrame?
  }

  private struct OpenArtifact {
    let file: any ReadableArtifact
    var lastUse: ContinuousClock.Instant
  }

  private static let readBatch = 64
  /// Answers before requests are read again.
  private static let sendBatch = 64
  private static let retryPause = Duration.milliseconds(5)
  /// Requests of a peer that wait; more are let go, and their fetch tries again.
  private static let requestLimit = 1024
  /// Peers that wait at once, not their chunks: see ``SendBudget``.
  private static let waitingLimit = 1024
  private static let openFileLimit = 32
  /// A file not asked for so long is closed: a removed artifact keeps its space while it is open.
  private static let openFileIdle = Duration.seconds(2)

  private let socket: ZMQSocket
  private let security: SocketSecurity
  private let thread: SocketThread
  private let served: ArtifactServer.Served
  /// What the open files are from.
  private var source: (any ArtifactSource)?
  private let sendBudget: SendBudget
  private let counters: ArtifactServer.Counters
  private let logger: Logger

  /// In the order of their turns.
  private var waiting: [WaitingPeer] = []
  private var openFiles: [Digest: OpenArtifact] = [:]
  private var budgets = RequestBudgets(perSecond: RequestBudgets.requests)
  private var log = RefusalLog()

  init(
    _ socket: ZMQSocket, _ security: SocketSecurity, _ thread: SocketThread, _ served: ArtifactServer.Served,
    _ sendBudget: SendBudget, _ counters: ArtifactServer.Counters, _ logger: Logger
  ) {
    self.socket = socket
    self.security = security
    self.thread = thread
    self.served = served
    self.sendBudget = sendBudget
    self.counters = counters
    self.logger = logger
  }

  func run() {
    do throws(MessagingError) {
      while !counters.isStopping.load(ordering: .acquiring) {
        _ = thread.poll([(socket, ZMQ_POLLIN)], until: nextDeadline)
        try read()
        try answerWaiting()
        closeIdleFiles()
      }
    } catch {
      logger.error("artifact server stopped: \(error)")
    }
  }

  private var nextDeadline: ContinuousClock.Instant? {
    // Nothing tells when a connection has room for an answer that did not fit.
    if waiting.contains(where: { $0.unsent != nil }) { return .now + Self.retryPause }
    // The budget tells when a chunk has left, but not when none has for too long.
    if !waiting.isEmpty { return ContinuousClock.now + sendBudget.limits.patience / 4 }
    return openFiles.isEmpty ? nil : .now + Self.openFileIdle
  }

  // MARK: Requests

  private func read() throws(MessagingError) {
    for _ in 0..<Self.readBatch {
      guard let received = try socket.receive() else { return }
      switch received {
      case .dropped(let first, let last, let frames, let bytes):
        reject(.overLimits(frames: frames - 1, bytes: bytes - first.count), from: last.peerAddress ?? "unknown")
      case .message(let frames): take(frames)
      }
    }
    thread.wakeup.signal()
  }

  private func take(_ frames: [MessageFrame]) {
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
    } catch { reject(error, from: address) }
  }

  private func accept(_ request: WireArtifactRequest, from peer: [UInt8], at address: String) {
    if let index = waiting.firstIndex(where: { $0.routingID == peer }) {
      if waiting[index].requests.count < Self.requestLimit { waiting[index].requests.append(request) }
    } else if waiting.count < Self.waitingLimit {
      waiting.append(WaitingPeer(routingID: peer, address: address, requests: [request]))
    } else {
      // So that it asks again soon. There is room on its connection, unless it asks for more than it reads.
      let answer = refusal(request, .busy, "too many others wait", "too many that wait", for: address)
      _ = try? socket.send([peer] + answer.frames)
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

  /// Answers a request of each waiting peer in turn, as long as there is room for the answers.
  private func answerWaiting() throws(MessagingError) {
    sendBudget.noteStalled(at: .now)
    // Answers, and peers passed over since the last of them.
    var (answered, passed) = (0, 0)
    while passed < waiting.count {
      if answered == Self.sendBatch { return thread.wakeup.signal() }
      var peer = waiting.removeFirst()
      if try answerNext(&peer) {
        answered += 1
        passed = 0
      } else {
        passed += 1
      }
      if !peer.requests.isEmpty || peer.unsent != nil { waiting.append(peer) }
    }
  }

  /// - Returns: false if there is no room for the peer's next answer, in memory or on its connection.
  private func answerNext(_ peer: inout WaitingPeer) throws(MessagingError) -> Bool {
    if peer.unsent == nil, let request = peer.requests.first {
      guard sendBudget.hasRoom(for: peer.routingID) else { return false }
      peer.requests.removeFirst()
      peer.unsent = answer(request, for: peer)
    }
    guard let unsent = peer.unsent else { return true }
    // Counted before: a frame that is sent belongs to libzmq and is empty afterwards.
    let count = unsent.data?.count ?? 0
    switch try socket.send([peer.routingID] + unsent.frames, data: unsent.data) {
    case .wouldBlock: return false
    case .unreachable: peer.requests.removeAll()
    case .sent: counters.bytes.wrappingAdd(UInt64(count), ordering: .relaxed)
    }
    peer.unsent = nil
    return true
  }

  private func answer(_ request: WireArtifactRequest, for peer: WaitingPeer) -> Answer {
    do throws(ArtifactError) { return try chunk(request, for: peer) } catch {
      let (text, address) = (error.description, peer.address)
      switch error {
      case .notFound: return refusal(request, .notFound, text, "no such artifact", for: address)
      case .corrupted: return refusal(request, .notFound, text, "a corrupted artifact", for: address)
      default: return refusal(request, .busy, text, "cannot be read", for: address)
      }
    }
  }

  private func chunk(_ request: WireArtifactRequest, for peer: WaitingPeer) throws(ArtifactError) -> Answer {
    // The codec has checked the digest's length, the request's length and that their sum does not overflow.
    guard let digest = Digest(request.digest) else {
      return refusal(request, .badRange, "no digest", "no digest", for: peer.address)
    }
    let file = try file(digest)
    let size = file.artifact.size
    let isInside = request.offset + UInt64(request.length) <= size
    guard isInside, request.length > 0 || size == 0 else {
      let text = "\(request.length) bytes at \(request.offset) are not in an artifact of \(size) bytes"
      return refusal(request, .badRange, text, "a range that makes no sense", for: peer.address)
    }
    guard let data = try? sendBudget.frame(count: Int(request.length), for: peer.routingID) else {
      return refusal(request, .busy, "out of memory", "out of memory", for: peer.address)
    }
    try data.withUnsafeMutableBytes { bytes throws(ArtifactError) in try file.read(into: bytes, at: request.offset) }
    var chunk = WireArtifactChunk()
    chunk.ticket = request.ticket
    chunk.digest = request.digest
    chunk.offset = request.offset
    chunk.totalSize = size
    chunk.crc32C = data.withUnsafeBytes { CRC32C.of($0) }
    guard let frames = try? ArtifactMessage.chunk(chunk).frames() else {
      return refusal(request, .busy, "cannot be encoded", "cannot be encoded", for: peer.address)
    }
    return Answer(frames: frames, data: data)
  }

  private func refusal(
    _ request: WireArtifactRequest, _ code: WireArtifactErrorCode, _ text: String, _ kind: String, for address: String
  ) -> Answer {
    counters.refusals.wrappingAdd(1, ordering: .relaxed)
    refused(address, kind, ": \(text)")
    var refusal = WireArtifactRefusal()
    refusal.ticket = request.ticket
    refusal.digest = request.digest
    refusal.code = code
    refusal.text = text.cut()
    return Answer(frames: (try? ArtifactMessage.refusal(refusal).frames()) ?? [])
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
