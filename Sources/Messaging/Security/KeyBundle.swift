import Foundation

/// A worker's keys as text: what a launcher writes into a worker that has no key directory, so that no secret lies on its machine's
/// disk or in its command line.
///
///     crvq-secret-key NAME KEY
///     crvq-public-key NAME KEY      one for each that may talk, the coordinator among them
///     (an empty line)
public struct KeyBundle: Sendable, Equatable {
  /// What a process proves itself with, and whom it believes.
  public let credentials: Credentials

  /// The most bytes of a bundle: as many keys as a directory may have.
  static let byteLimit = KeyDirectory.keyLimit * 192

  private static let secretWord = KeyFile.Half.secret.rawValue
  private static let publicWord = KeyFile.Half.public.rawValue

  init(_ credentials: Credentials) { self.credentials = credentials }

  /// The bundle as it is sent, its empty line included.
  public var text: String {
    let own = credentials.allowed[credentials.own.publicKey] ?? KeyDirectory.worker
    let allowed = credentials.allowed.sorted { $0.value < $1.value }
    let lines =
      ["\(Self.secretWord) \(own) \(credentials.own.z85Secret)"]
      + allowed.map { "\(Self.publicWord) \($0.value) \($0.key)" }
    return lines.joined(separator: "\n") + "\n\n"
  }

  /// Reads a bundle from an open file up to its empty line, or to the file's end.
  ///
  /// - Parameter name: of the file, for messages.
  /// - Throws: ``KeyError`` `.unusable` for what is no bundle, `.io`.
  public init(reading descriptor: Int32, name: String) throws(KeyError) {
    var bytes: [UInt8] = []
    let end = Array("\n\n".utf8)
    while !bytes.suffix(end.count).elementsEqual(end) {
      var byte: UInt8 = 0
      // One at a time: what follows the bundle is not ours.
      let count = read(descriptor, &byte, 1)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        throw KeyError(kind: .io, path: name, reason: "read: \(String(cString: strerror(errno)))")
      }
      bytes.append(byte)
      if bytes.count > Self.byteLimit {
        throw KeyError(kind: .unusable, path: name, reason: "more than \(Self.byteLimit) bytes of keys")
      }
    }
    try self.init(text: String(decoding: bytes, as: UTF8.self), name: name)
  }

  /// - Throws: ``KeyError`` `.unusable`.
  init(text: String, name: String) throws(KeyError) {
    func unusable(_ reason: String) -> KeyError { KeyError(kind: .unusable, path: name, reason: reason) }
    var own: (name: String, pair: KeyPair)?
    var allowed: [PublicKey: String] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 3 else { throw unusable("not keys, expected lines of kind, name and key") }
      if words[0] == Self.secretWord, own == nil, let pair = KeyPair(z85Secret: words[2]) {
        own = (words[1], pair)
      } else if words[0] == Self.publicWord, let key = PublicKey(z85: words[2]) {
        if allowed.updateValue(words[1], forKey: key) != nil { throw unusable("the key of \(words[1]) is there twice") }
      } else {
        throw unusable("not keys, expected one \(Self.secretWord) and any number of \(Self.publicWord)")
      }
    }
    guard let own else { throw unusable("no secret key, expected a line \(Self.secretWord)") }
    guard let coordinator = allowed.first(where: { $0.value == KeyDirectory.coordinator })?.key else {
      throw unusable("the coordinator's public key is missing")
    }
    guard allowed[own.pair.publicKey] == own.name else { throw unusable("the secret key is not that of \(own.name)") }
    self.init(Credentials(own: own.pair, coordinator: coordinator, allowed: AllowList(allowed)))
  }
}

extension KeyDirectory {
  /// What a worker of this name needs of the directory.
  ///
  /// - Throws: as ``credentials(of:)``.
  public func bundle(forWorker name: String) throws(KeyError) -> KeyBundle {
    KeyBundle(try credentials(of: .worker(name: name)))
  }
}
