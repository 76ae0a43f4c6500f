/// A message between a process that holds artifacts and one that fetches them.
///
/// A chunk's bytes are the third frame of its message; they stay in the buffer in which they arrived and are not part of
/// this value.
package enum ArtifactMessage: Sendable, Equatable {
  case request(WireArtifactRequest)
  case chunk(WireArtifactChunk)
  case refusal(WireArtifactRefusal)

  /// The most bytes of a chunk's data frame.
  package static let chunkLimit = 4 << 20

  /// The kind in the message's header.
  package var kind: MessageKind {
    switch self {
    case .request: .artifactRequest
    case .chunk: .artifactChunk
    case .refusal: .artifactRefusal
    }
  }

  /// Header and payload; a chunk's sender adds the data frame.
  package func frames() throws(ProtocolError) -> [[UInt8]] {
    switch self {
    case .request(let message): try Envelope.frames(kind, message)
    case .chunk(let message): try Envelope.frames(kind, message)
    case .refusal(let message): try Envelope.frames(kind, message)
    }
  }

  /// Decodes header and payload of a message that has `dataLengths.count` further frames of these lengths.
  package init(header: [UInt8], payload: [UInt8]?, dataLengths: [Int]) throws(ProtocolError) {
    let kind = try Envelope.kind(ofHeader: header)
    let expected = kind == .artifactChunk ? 3 : 2
    let got = 1 + (payload == nil ? 0 : 1) + dataLengths.count
    guard let payload, got == expected else { throw .frameCount(expected: expected, got: got) }
    if let length = dataLengths.first, length > Self.chunkLimit {
      throw .oversized(kind, bytes: length, limit: Self.chunkLimit)
    }
    switch kind {
    case .artifactRequest: self = .request(try Envelope.decode(WireArtifactRequest.self, kind, payload))
    case .artifactChunk: self = .chunk(try Envelope.decode(WireArtifactChunk.self, kind, payload))
    case .artifactRefusal: self = .refusal(try Envelope.decode(WireArtifactRefusal.self, kind, payload))
    default: throw .unexpectedKind(kind)
    }
  }
}
