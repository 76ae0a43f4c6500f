/// What a coordinator says to a worker. The payloads are documented in `crvq.proto`.
public enum CoordinatorMessage: Sendable, Equatable {
  case welcome(WireWelcome)
  case assign(WireAssign)
  case cancel(WireCancel)
  case release(WireRelease)
  case resultStored(WireResultStored)
  case refuse(WireRefuse)
  case shutdown(WireShutdown)
  case pulse(WirePulse)
  case holderLost(WireHolderLost)

  /// The kind in the message's header.
  public var kind: MessageKind {
    switch self {
    case .welcome: .welcome
    case .assign: .assign
    case .cancel: .cancel
    case .release: .release
    case .resultStored: .resultStored
    case .refuse: .refuse
    case .shutdown: .shutdown
    case .pulse: .pulse
    case .holderLost: .holderLost
    }
  }

  /// Header and payload, ready to be sent.
  ///
  /// - Throws: ``ProtocolError`` `.invalid` or `.oversized` for a message that its receiver would refuse.
  public func frames() throws(ProtocolError) -> [[UInt8]] {
    switch self {
    case .welcome(let message): try Envelope.frames(kind, message)
    case .assign(let message): try Envelope.frames(kind, message)
    case .cancel(let message): try Envelope.frames(kind, message)
    case .release(let message): try Envelope.frames(kind, message)
    case .resultStored(let message): try Envelope.frames(kind, message)
    case .refuse(let message): try Envelope.frames(kind, message)
    case .shutdown(let message): try Envelope.frames(kind, message)
    case .pulse(let message): try Envelope.frames(kind, message)
    case .holderLost(let message): try Envelope.frames(kind, message)
    }
  }

  /// Decodes and checks received frames. Whatever the bytes, the result is a message or one ``ProtocolError``.
  public init(frames: [[UInt8]]) throws(ProtocolError) {
    guard let header = frames.first else { throw .frameCount(expected: 2, got: 0) }
    let kind = try Envelope.kind(ofHeader: header)
    guard frames.count == 2 else { throw .frameCount(expected: 2, got: frames.count) }
    let payload = frames[1]
    switch kind {
    case .welcome: self = .welcome(try Envelope.decode(WireWelcome.self, kind, payload))
    case .assign: self = .assign(try Envelope.decode(WireAssign.self, kind, payload))
    case .cancel: self = .cancel(try Envelope.decode(WireCancel.self, kind, payload))
    case .release: self = .release(try Envelope.decode(WireRelease.self, kind, payload))
    case .resultStored: self = .resultStored(try Envelope.decode(WireResultStored.self, kind, payload))
    case .refuse: self = .refuse(try Envelope.decode(WireRefuse.self, kind, payload))
    case .shutdown: self = .shutdown(try Envelope.decode(WireShutdown.self, kind, payload))
    case .pulse: self = .pulse(try Envelope.decode(WirePulse.self, kind, payload))
    case .holderLost: self = .holderLost(try Envelope.decode(WireHolderLost.self, kind, payload))
    default: throw .unexpectedKind(kind)
    }
  }
}
