import SwiftProtobuf

/// The header in front of every message, and the rules that hold for all of them.
///
/// A message is two frames, header and payload; an artifact chunk has its bytes as a third. The header is 8 bytes:
/// "CRVQ", protocol version (uint16, little endian), kind (uint16, little endian).
public enum Envelope {
  /// The protocol version this program speaks. Peers of another version are refused. Raised with the layout of messages, and
  /// when a task of the same name means other work than before.
  public static let version: UInt16 = 9
  /// Bytes of a header frame.
  public static let headerLength = 8
  /// The most bytes of a protobuf payload.
  public static let payloadLimit = 1 << 20
  /// The most frames of a message, a ROUTER's address frame not counted.
  public static let frameLimit = 3

  static let magic: [UInt8] = Array("CRVQ".utf8)
  /// Nesting in this protocol is three deep; anything deeper is an attack on the decoder's stack.
  static let nestingLimit = 8

  /// The header frame for `kind`.
  static func header(_ kind: MessageKind, version: UInt16 = Envelope.version) -> [UInt8] {
    magic + [UInt8(truncatingIfNeeded: version), UInt8(truncatingIfNeeded: version >> 8)]
      + [UInt8(truncatingIfNeeded: kind.rawValue), UInt8(truncatingIfNeeded: kind.rawValue >> 8)]
  }

  /// Reads a header frame.
  ///
  /// - Returns: the kind of the message. ``MessageKind/refuse`` comes through from a peer of any version, so that it
  ///   can tell why it will not talk.
  /// - Throws: `.foreign`, `.otherVersion`, `.unknownKind`.
  static func kind(ofHeader header: [UInt8]) throws(ProtocolError) -> MessageKind {
    guard header.count == headerLength, header.starts(with: magic) else { throw .foreign }
    let peerVersion = UInt16(header[4]) | UInt16(header[5]) << 8
    let number = UInt16(header[6]) | UInt16(header[7]) << 8
    let kind = MessageKind(rawValue: number)
    guard peerVersion == version || kind == .refuse else { throw .otherVersion(peerVersion) }
    guard let kind else { throw .unknownKind(number) }
    return kind
  }

  /// Header and payload of a message to be sent, checked as the receiver will check it.
  static func frames(_ kind: MessageKind, _ message: some CheckedMessage) throws(ProtocolError) -> [[UInt8]] {
    try check(message, kind)
    let payload: [UInt8]
    // Serializing fails for missing required fields (proto3 has none) and for messages over 2 GiB only.
    do { payload = try message.serializedBytes() } catch { throw .malformed(kind) }
    guard payload.count <= payloadLimit else {
      throw .oversized(kind, bytes: payload.count, limit: payloadLimit)
    }
    return [header(kind), payload]
  }

  /// Decodes and checks a payload.
  static func decode<Message: CheckedMessage>(
    _ type: Message.Type, _ kind: MessageKind, _ payload: [UInt8]
  ) throws(ProtocolError) -> Message {
    guard payload.count <= payloadLimit else {
      throw .oversized(kind, bytes: payload.count, limit: payloadLimit)
    }
    var options = BinaryDecodingOptions()
    options.messageDepthLimit = nestingLimit
    options.discardUnknownFields = true
    let message: Message
    do { message = try Message(serializedBytes: payload, options: options) } catch { throw .malformed(kind) }
    try check(message, kind)
    return message
  }

  private static func check(_ message: some CheckedMessage, _ kind: MessageKind) throws(ProtocolError) {
    do { try message.check() } catch { throw .invalid(kind, field: error.field, reason: error.reason) }
  }
}
