/// Why received frames are not a message, or why a message cannot be sent. One line each; none of them stops a process.
public enum ProtocolError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The first frame is not a header of this protocol: garbage, or another program.
  case foreign
  /// The peer speaks another version of the protocol.
  case otherVersion(UInt16)
  /// The header's kind has no meaning in this version.
  case unknownKind(UInt16)
  /// A known kind that travels the other way, or on another socket.
  case unexpectedKind(MessageKind)
  /// The message has another number of frames than its kind asks for.
  case frameCount(expected: Int, got: Int)
  /// The payload is longer than ``Envelope/payloadLimit``, or a data frame longer than its limit.
  case oversized(MessageKind, bytes: Int, limit: Int)
  /// The message has more frames or more bytes than its socket takes; it was let go unread.
  case overLimits(frames: Int, bytes: Int)
  /// The payload is not the protobuf encoding of its kind: truncated or damaged.
  case malformed(MessageKind)
  /// Decodes, but a field has a value that no correct peer sends.
  case invalid(MessageKind, field: String, reason: String)

  public var description: String {
    switch self {
    case .foreign: "not a message of the crvq protocol"
    case .otherVersion(let version):
      "the peer speaks protocol version \(version), this program version \(Envelope.version); use the same release of crvq on both"
    case .unknownKind(let kind): "message kind \(kind) is unknown in protocol version \(Envelope.version)"
    case .unexpectedKind(let kind): "a \(kind) message does not belong on this connection"
    case .frameCount(let expected, let got): "message has \(got) frames, expected \(expected)"
    case .oversized(let kind, let bytes, let limit): "\(kind) message of \(bytes) bytes is over the limit of \(limit)"
    case .overLimits(let frames, let bytes): "message of \(frames) frames and \(bytes) bytes is over the limits"
    case .malformed(let kind): "\(kind) message is truncated or damaged"
    case .invalid(let kind, let field, let reason): "\(kind) message: \(field) \(reason)"
    }
  }
}
