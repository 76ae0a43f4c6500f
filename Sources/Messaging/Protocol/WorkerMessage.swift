/// What a worker says to its coordinator. The payloads are documented in `crvq.proto`.
public enum WorkerMessage: Sendable, Equatable {
  case ready(WireReady)
  case heartbeat(WireHeartbeat)
  case progress(WireProgress)
  case taskDone(WireTaskDone)
  case taskFailed(WireTaskFailed)
  case goodbye(WireGoodbye)
  case inventory(WireInventory)

  /// The kind in the message's header.
  public var kind: MessageKind {
    switch self {
    case .ready: .ready
    case .heartbeat: .heartbeat
    case .progress: .progress
    case .taskDone: .taskDone
    case .taskFailed: .taskFailed
    case .goodbye: .goodbye
    case .inventory: .inventory
    }
  }

  /// Header and payload, ready to be sent.
  ///
  /// - Throws: ``ProtocolError`` `.invalid` or `.oversized` for a message that its receiver would refuse.
  public func frames() throws(ProtocolError) -> [[UInt8]] {
    switch self {
    case .ready(let message): try Envelope.frames(kind, message)
    case .heartbeat(let message): try Envelope.frames(kind, message)
    case .progress(let message): try Envelope.frames(kind, message)
    case .taskDone(let message): try Envelope.frames(kind, message)
    case .taskFailed(let message): try Envelope.frames(kind, message)
    case .goodbye(let message): try Envelope.frames(kind, message)
    case .inventory(let message): try Envelope.frames(kind, message)
    }
  }

  /// Decodes and checks received frames. Whatever the bytes, the result is a message or one ``ProtocolError``.
  public init(frames: [[UInt8]]) throws(ProtocolError) {
    guard let header = frames.first else { throw .frameCount(expected: 2, got: 0) }
    let kind = try Envelope.kind(ofHeader: header)
    guard frames.count == 2 else { throw .frameCount(expected: 2, got: frames.count) }
    let payload = frames[1]
    switch kind {
    case .ready: self = .ready(try Envelope.decode(WireReady.self, kind, payload))
    case .heartbeat: self = .heartbeat(try Envelope.decode(WireHeartbeat.self, kind, payload))
    case .progress: self = .progress(try Envelope.decode(WireProgress.self, kind, payload))
    case .taskDone: self = .taskDone(try Envelope.decode(WireTaskDone.self, kind, payload))
    case .taskFailed: self = .taskFailed(try Envelope.decode(WireTaskFailed.self, kind, payload))
    case .goodbye: self = .goodbye(try Envelope.decode(WireGoodbye.self, kind, payload))
    case .inventory: self = .inventory(try Envelope.decode(WireInventory.self, kind, payload))
    default: throw .unexpectedKind(kind)
    }
  }
}
