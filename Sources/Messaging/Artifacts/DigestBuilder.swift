import Crypto

/// SHA-256 over bytes that come in pieces.
struct DigestBuilder {
  private var hash = SHA256()

  /// Adds bytes.
  mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

  /// The digest of all bytes so far. More may be added afterwards.
  var digest: Digest { Digest(first32Of: hash.finalize()) }
}
