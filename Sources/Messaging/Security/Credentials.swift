/// What a process proves itself with, and whom it believes.
public struct Credentials: Sendable, Equatable {
  let own: KeyPair
  /// The key of the job's coordinator.
  let coordinator: PublicKey
  let allowList: AllowList

  /// Who may talk, by key; the values are names for people.
  var allowed: [PublicKey: String] { allowList.keys }

  init(own: KeyPair, coordinator: PublicKey, allowed: AllowList) {
    self.own = own
    self.coordinator = coordinator
    allowList = allowed
  }

  /// The key by which others recognize this process.
  public var publicKey: PublicKey { own.publicKey }

  /// Whether the party with this key may use a socket of this purpose.
  func admits(_ key: PublicKey, to purpose: SocketSecurity.Purpose) -> Bool {
    switch purpose {
    // A second coordinator is no worker.
    case .control: allowList.contains(key) && key != coordinator
    case .artifacts: allowList.contains(key)
    }
  }
}
