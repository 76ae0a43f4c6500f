// Checks of what artifact servers and clients send.

extension WireArtifactRequest: CheckedMessage {
  func check() throws(FieldFault) {
    try checkBytes(digest, "digest", count: WireLimit.digest)
    if Int(length) > ArtifactMessage.chunkLimit {
      throw FieldFault(field: "length", reason: "is \(length), more than \(ArtifactMessage.chunkLimit)")
    }
    if offset.addingReportingOverflow(UInt64(length)).overflow {
      throw FieldFault(field: "offset", reason: "\(offset) and length \(length) overflow")
    }
  }
}

extension WireArtifactChunk: CheckedMessage {
  func check() throws(FieldFault) { try checkBytes(digest, "digest", count: WireLimit.digest) }
}

extension WireArtifactRefusal: CheckedMessage {
  func check() throws(FieldFault) {
    try checkBytes(digest, "digest", count: WireLimit.digest)
    try checkText(text, "text", limit: WireLimit.text)
  }
}
