import Foundation

/// A directory with the keys of one job, or of one cluster whose jobs trust each other.
///
///     DIR/coordinator.key           secret, for the coordinator's machine alone
///     DIR/worker.key                secret, for the machines of workers
///     DIR/NAME.key                  secret of one worker, if it has its own
///     DIR/allowed/coordinator.pub   ┐
///     DIR/allowed/worker.pub        │ who may talk: for every machine
///     DIR/allowed/NAME.pub          ┘
///
/// Each process uses one secret and lets in whom `allowed` lists. See <doc:Security>.
public struct KeyDirectory: Sendable {
  /// Whose secret a process uses.
  public enum Party: Sendable {
    case coordinator
    /// `NAME.key` if there is one, else `worker.key`.
    case worker(name: String)
  }

  static let coordinator = "coordinator"
  static let worker = "worker"
  private static let allowed = "allowed"
  private static let publicSuffix = ".pub"
  /// The most keys in `allowed`.
  static let keyLimit = 4096
  /// The most characters of a worker's name.
  private static let nameLimit = 100

  public let path: String

  public init(_ path: String) { self.path = path }

  // MARK: Making

  /// Makes the directory with a pair for the coordinator and one for all workers. It appears complete or not at all.
  ///
  /// - Throws: ``KeyError`` `.usage` if `path` is there and not an empty directory, `.io`.
  public static func create(at path: String) throws(KeyError) {
    let parent = Directory.parent(of: path)
    let staging = parent + "/.crvq-keys-\(UUID().uuidString)"
    guard mkdir(staging, 0o700) == 0, mkdir("\(staging)/\(allowed)", 0o755) == 0 else {
      let code = errno
      rmdir(staging)
      if code == ENOENT { throw KeyError(kind: .io, path: parent, reason: "no such directory; make it first") }
      throw KeyError(kind: .io, path: path, reason: "make directory: \(String(cString: strerror(code)))")
    }
    // Nothing is left of it if a step fails; after the rename there is nothing of this name.
    defer { try? FileManager.default.removeItem(atPath: staging) }
    let keys = KeyDirectory(staging)
    for name in [coordinator, worker] { try keys.createPair(name) }
    // rename(2) replaces an empty directory, and nothing else.
    if rename(staging, path) != 0 {
      let code = errno
      if [EEXIST, ENOTEMPTY, ENOTDIR].contains(code) {
        throw KeyError(kind: .usage, path: path, reason: "exists; keys are never overwritten, choose another directory")
      }
      throw KeyError(kind: .io, path: path, reason: "rename: \(String(cString: strerror(code)))")
    }
    sync(parent)
  }

  /// Adds a pair for one worker, which no other can then be.
  ///
  /// - Throws: ``KeyError`` `.usage` if it has one or the name cannot be a file's, `.unusable` if this is no key
  ///   directory, `.io`.
  public func addWorker(named name: String) throws(KeyError) {
    if name == Self.coordinator {
      throw KeyError(kind: .usage, path: path, reason: "'\(name)' is the coordinator's own name; choose another")
    }
    guard Self.isName(name) else {
      throw KeyError(
        kind: .usage, path: path,
        reason: "'\(name)' cannot name a worker; use up to \(Self.nameLimit) letters, digits, '-', '_' and '.'")
    }
    _ = try allowedKeys()
    try createPair(name)
    Self.sync(path)
  }

  private func createPair(_ name: String) throws(KeyError) {
    let pair: KeyPair
    do { pair = try KeyPair.random() } catch { throw KeyError(kind: .io, path: path, reason: "\(error)") }
    let secret = secretFile(name)
    let open = publicFile(name)
    try secret.create(pair.z85Secret)
    do { try open.create(pair.publicKey.description) } catch {
      unlink(secret.path)
      throw error
    }
    Self.sync("\(path)/\(Self.allowed)")
  }

  /// Makes names in a directory durable, where the file system can.
  private static func sync(_ directory: String) { try? Directory.flushNames(in: directory, by: fsync) }

  // MARK: Using

  /// The keys of a party, and those it lets in.
  ///
  /// - Throws: ``KeyError`` naming the file: missing, open to others, damaged, or not fitting the rest.
  public func credentials(of party: Party) throws(KeyError) -> Credentials {
    let name =
      switch party {
      case .coordinator: Self.coordinator
      case .worker(let name):
        Self.isName(name) && access(secretFile(name).path, F_OK) == 0 && name != Self.coordinator ? name : Self.worker
      }
    let file = secretFile(name)
    guard let own = KeyPair(z85Secret: try file.read()) else { throw file.error(.unusable, "not a key") }
    let allowed = try allowedKeys()
    guard let coordinator = allowed.first(where: { $0.value == Self.coordinator })?.key else {
      throw publicFile(Self.coordinator).error(.unusable, "missing; copy it from where the keys were made")
    }
    guard allowed[own.publicKey] == name else {
      throw publicFile(name).error(.unusable, "missing, or not the public half of \(file.path)")
    }
    let list = AllowList(allowed) { () throws(KeyError) in try allowedKeys() }
    return Credentials(own: own, coordinator: coordinator, allowed: list)
  }

  /// Every key in `allowed`, with the name of its party.
  private func allowedKeys() throws(KeyError) -> [PublicKey: String] {
    let directory = "\(path)/\(Self.allowed)"
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: directory) else {
      throw KeyError(
        kind: .unusable, path: path,
        reason: "no folder 'allowed' in it; make keys with crvq-coord keygen --output \(path)")
    }
    let parties = names.filter { $0.hasSuffix(Self.publicSuffix) }.map { String($0.dropLast(Self.publicSuffix.count)) }
    guard parties.count <= Self.keyLimit else {
      throw KeyError(kind: .unusable, path: directory, reason: "\(parties.count) keys, more than \(Self.keyLimit)")
    }
    var keys: [PublicKey: String] = [:]
    for name in parties.sorted() {
      let file = publicFile(name)
      guard Self.isName(name) else { throw file.error(.unusable, "no name for a key; rename the file") }
      guard let key = PublicKey(z85: try file.read()) else { throw file.error(.unusable, "not a key") }
      if let other = keys.updateValue(name, forKey: key) { throw file.error(.unusable, "the same key as \(other)'s") }
    }
    return keys
  }

  private func secretFile(_ name: String) -> KeyFile { KeyFile(path: "\(path)/\(name).key", half: .secret) }

  private func publicFile(_ name: String) -> KeyFile {
    KeyFile(path: "\(path)/\(Self.allowed)/\(name)\(Self.publicSuffix)", half: .public)
  }

  private static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= nameLimit && !text.hasPrefix(".")
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
