import Foundation

/// A file with one key: a word that says which half it is, a space, 40 characters of Z85.
struct KeyFile {
  enum Half: String {
    case secret = "crvq-secret-key"
    case `public` = "crvq-public-key"

    var mode: mode_t { self == .secret ? 0o600 : 0o644 }
  }

  /// The most bytes of a file that may be one.
  private static let lengthLimit = 256
  /// Bits that no secret file may have: any of the group's or of others.
  private static let forbidden: mode_t = 0o077

  let path: String
  let half: Half

  /// Makes the file, with its mode from the first byte on; never touches one that is there.
  ///
  /// - Throws: ``KeyError`` `.usage` if there is one, `.io`.
  func create(_ key: String) throws(KeyError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, half.mode)
    if descriptor < 0 {
      if errno == EEXIST { throw error(.usage, "exists; keys are never overwritten") }
      throw system("create", errno)
    }
    defer { close(descriptor) }
    let line = Array("\(half.rawValue) \(key)\n".utf8)
    let written = write(descriptor, line, line.count)
    // A line that fits in part only met a full disk.
    let code = written < 0 ? errno : written < line.count ? ENOSPC : fsync(descriptor) == 0 ? 0 : errno
    if code != 0 {
      unlink(path)
      throw system("write", code)
    }
  }

  /// Reads the key.
  ///
  /// - Throws: ``KeyError`` `.unusable` for a file that is missing, not a key, or a secret that others may read; `.io`.
  func read() throws(KeyError) -> String {
    // O_NONBLOCK: a pipe of this name must not make us wait.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0 {
      if errno == ENOENT { throw error(.unusable, "no such file; make keys with crvq-coord keygen, or copy them here") }
      throw system("open", errno)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw system("stat", errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw error(.unusable, "not a file") }
    // Of the open file and not of its name: what is checked is what is read.
    if half == .secret, status.st_mode & Self.forbidden != 0 {
      let mode = String(status.st_mode & 0o7777, radix: 8)
      throw error(
        .unusable, "mode 0\(mode) lets others at this secret key, expected 0600; chmod 600 it, or make new keys")
    }
    var bytes = [UInt8](repeating: 0, count: Self.lengthLimit + 1)
    let count = Foundation.read(descriptor, &bytes, bytes.count)
    if count < 0 { throw system("read", errno) }
    let words = String(decoding: bytes[..<count], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard count <= Self.lengthLimit, words.count == 2, words[0] == half.rawValue, words[1].utf8.count == 40 else {
      throw error(.unusable, "not a key, expected \(half.rawValue) and 40 characters")
    }
    return String(words[1])
  }

  func error(_ kind: KeyError.Kind, _ reason: String) -> KeyError { KeyError(kind: kind, path: path, reason: reason) }

  private func system(_ operation: String, _ code: Int32) -> KeyError {
    error(.io, "\(operation): \(String(cString: strerror(code)))")
  }
}
