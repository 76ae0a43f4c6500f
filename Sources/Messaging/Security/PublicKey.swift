import CZeroMQ

/// The half of a CURVE key pair that may be known to everyone: the name by which a party is recognized.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  static let byteCount = 32

  /// 32 bytes.
  public let bytes: [UInt8]

  /// - Returns: nil unless there are 32 bytes.
  public init?(_ bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }

  /// Reads 40 characters of Z85 (rfc.zeromq.org/spec/32).
  init?(z85 text: String) {
    guard let bytes = Z85.decode(text) else { return nil }
    self.bytes = bytes
  }

  /// 40 characters of Z85.
  public var description: String { Z85.encode(bytes) }
}

/// A party's own keys. The secret never appears in a description.
struct KeyPair: Sendable, Equatable, CustomStringConvertible {
  let publicKey: PublicKey
  /// 32 bytes.
  let secret: [UInt8]

  /// A new pair.
  ///
  /// - Throws: ``MessagingError`` `.socket` if this libzmq has no CURVE.
  static func random() throws(MessagingError) -> KeyPair {
    try SocketSecurity.requireCurve()
    var publicText = [CChar](repeating: 0, count: Z85.length + 1)
    var secretText = publicText
    guard zmq_curve_keypair(&publicText, &secretText) == 0 else { throw .last("make a key pair", "libzmq") }
    guard let pair = KeyPair(z85Secret: String(upToZero: secretText)) else { throw .last("make a key pair", "libzmq") }
    return pair
  }

  /// The pair of a secret; nil if the text is none.
  init?(z85Secret text: String) {
    var publicText = [CChar](repeating: 0, count: Z85.length + 1)
    guard let secret = Z85.decode(text), zmq_curve_public(&publicText, text) == 0,
      let publicKey = PublicKey(z85: String(upToZero: publicText))
    else { return nil }
    self.secret = secret
    self.publicKey = publicKey
  }

  var z85Secret: String { Z85.encode(secret) }

  var description: String { "key pair \(publicKey)" }
}

/// Keys as text: 32 bytes in 40 printable characters.
private enum Z85 {
  static let length = 40

  static func decode(_ text: String) -> [UInt8]? {
    // zmq_z85_decode trusts the length of what it writes to that of the text.
    guard text.utf8.count == length else { return nil }
    var bytes = [UInt8](repeating: 0, count: PublicKey.byteCount)
    return zmq_z85_decode(&bytes, text) == nil ? nil : bytes
  }

  static func encode(_ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: length + 1)
    // Fails only where the count is no multiple of 4.
    zmq_z85_encode(&text, bytes, bytes.count)
    return String(upToZero: text)
  }
}
