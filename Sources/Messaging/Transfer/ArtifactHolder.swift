import Foundation

/// Where an artifact can be fetched from.
public struct ArtifactHolder: Hashable, Sendable, CustomStringConvertible {
  /// The holder's artifact endpoint.
  public let endpoint: String
  /// The key that whoever listens there must have; nil where the job has no keys.
  public let key: PublicKey?

  public init(_ endpoint: String, key: PublicKey? = nil) {
    self.endpoint = endpoint
    self.key = key
  }

  public var description: String { endpoint }
}

extension WireInputArtifact {
  /// The holders and their keys, preferred first.
  public var artifactHolders: [ArtifactHolder] {
    get {
      holders.enumerated().map { index, endpoint in
        ArtifactHolder(endpoint, key: holderKeys.isEmpty ? nil : PublicKey(holderKeys[index]))
      }
    }
    set {
      holders = newValue.map(\.endpoint)
      let keys = newValue.compactMap(\.key)
      holderKeys = keys.count == newValue.count ? keys.map { Data($0.bytes) } : []
    }
  }
}
