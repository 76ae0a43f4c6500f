import Checkpoint
import JobGraph
import Messaging

/// The inputs the coordinator named with a task, fetched when they are asked for.
package struct TaskInputs: Sendable {
  let store: ArtifactStore
  let inputs: [WireInputArtifact]
  /// Of the task.
  let lease: UInt64
  let copies: InputCopies
  /// Brings an artifact into the store from one of the endpoints.
  let fetcher: @Sendable (_ artifact: Artifact, _ holders: [ArtifactHolder]) throws(ArtifactError) -> Void

  package init(
    store: ArtifactStore, inputs: [WireInputArtifact], lease: UInt64, copies: InputCopies,
    fetcher: @escaping @Sendable (_ artifact: Artifact, _ holders: [ArtifactHolder]) throws(ArtifactError) -> Void
  ) {
    (self.store, self.inputs, self.lease, self.copies, self.fetcher) = (store, inputs, lease, copies, fetcher)
  }

  func find(_ name: String, index: Int) -> WireInputArtifact? {
    inputs.first { $0.ref.name == name && Int($0.index) == index }
  }

  /// All inputs of a name, in the order of their indices.
  func all(_ name: String) -> [WireInputArtifact] {
    inputs.filter { $0.ref.name == name }.sorted { $0.index < $1.index }
  }

  /// The packed blocks among the inputs, in order.
  var packedBlocks: [WireInputArtifact] { all(ArtifactRef.packedName) }

  /// Makes sure that an input is in the store, unharmed: a file with other bytes than its digest says is fetched anew.
  ///
  /// - Throws: ``TaskError`` `.missing` if no holder has it, `.cancelled`; ``ArtifactError`` if this machine's disk is at fault.
  func fetch(_ input: WireInputArtifact) throws -> Digest {
    guard let artifact = input.ref.artifact else { throw TaskError.other("an input has no digest") }
    copies.claim(artifact, for: lease)
    do throws(ArtifactError) {
      try fetcher(artifact, input.artifactHolders)
    } catch {
      switch error {
      case .outOfSpace, .io: throw error
      case .cancelled, .closed: throw TaskError.cancelled
      default: throw TaskError.missing(artifact.digest, holder: input.holders.first ?? "", reason: "\(error)")
      }
    }
    return artifact.digest
  }

  /// An input that is a safetensors file.
  ///
  /// - Throws: as ``fetch(_:)``; ``CheckpointError`` if it is something else.
  func file(_ input: WireInputArtifact) throws -> SafetensorsFile {
    try SafetensorsFile(path: store.verifiedPath(fetch(input)))
  }

  /// As ``file(_:)``, by name.
  func file(_ name: String, index: Int) throws -> SafetensorsFile {
    guard let input = find(name, index: index) else {
      throw TaskError.other("the task came without its input \(name) \(index)")
    }
    return try file(input)
  }

  /// Makes sure that no input in the store has changed since it was fetched: a result made of it would be wrong. All of them
  /// are looked at, so that what spoilt several costs one attempt and not one for each.
  ///
  /// - Throws: ``ArtifactError`` `.corrupted` for the first that has; none of them is in the store any more.
  package func confirm() throws {
    var damage: ArtifactError?
    for digest in inputs.compactMap({ $0.ref.artifact?.digest }) where store.contains(digest) {
      do throws(ArtifactError) {
        _ = try store.file(digest)
      } catch {
        switch error {
        case .notFound: continue
        case .corrupted: damage = damage ?? error
        default: throw error
        }
      }
    }
    if let damage { throw damage }
  }
}
