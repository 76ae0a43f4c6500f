import Foundation
import Messaging
import Synchronization

/// Files of the job that this machine does not have, fetched from the coordinator into a place that the workers of a machine share:
/// the manifest of the model, its parts, the tokens.
package final class CoordinatorFiles: Sendable {
  private static let waitPause = 0.1
  /// Another process of this machine that takes longer over a file may well stand still.
  private static let lockPatience = Duration.seconds(60)
  /// There is nobody else to ask, so a coordinator that is busy is waited for.
  private static let chunkPatience = Duration.seconds(60)

  private let store: ArtifactStore
  private let holder: Mutex<ArtifactHolder>
  private let client: ArtifactClient
  /// Whether whoever waits for a file still wants it.
  private let isUnwanted: @Sendable () -> Bool

  /// - Parameter directory: made if it is not there.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package init(
    in directory: String, from coordinator: ArtifactHolder, by client: ArtifactClient,
    isUnwanted: @escaping @Sendable () -> Bool
  ) throws(ArtifactError) {
    store = try ArtifactStore(directory: directory, durability: .cache)
    holder = Mutex(coordinator)
    self.client = client
    self.isUnwanted = isUnwanted
  }

  /// Where the coordinator serves its files. Its successor has another place.
  package var coordinator: ArtifactHolder {
    get { holder.withLock { $0 } }
    set { holder.withLock { $0 = newValue } }
  }

  /// Where a file is, its bytes checked. Fetched if it is not there yet, by one process of this machine while the others wait.
  ///
  /// - Parameter name: what the file is, for messages.
  /// - Throws: ``TaskError`` `.cancelled`, or `.other` if the coordinator cannot give it; ``ArtifactError`` if this machine's disk is at
  ///   fault.
  package func path(of file: Artifact, named name: String) throws -> String {
    do throws(ArtifactError) { return try path(of: file) } catch {
      switch error {
      case .cancelled, .closed: throw TaskError.cancelled
      case .outOfSpace, .io: throw error
      default: throw TaskError.other("\(name): \(error)")
      }
    }
  }

  /// Whether a file that was found here still has its bytes; one that does not is gone then.
  func isIntact(_ file: Artifact) -> Bool {
    store.doubt(file.digest)
    return (try? store.verifiedPath(file.digest, size: file.size)) != nil
  }

  private func path(of file: Artifact) throws(ArtifactError) -> String {
    let lockPath = "\(store.directory)/\(file.digest.hex).lock"
    let deadline = ContinuousClock.now + Self.lockPatience
    while true {
      if store.contains(file.digest, size: file.size), let path = try? store.verifiedPath(file.digest, size: file.size)
      {
        return path
      }
      let lock = try FileLock.take(lockPath, makingFile: true)
      if lock != nil || ContinuousClock.now >= deadline {
        defer { if let lock { unlink(lock.path) } }
        // Looks again whether it is there: the process before may have brought it.
        try client.fetch(
          file, from: [coordinator], into: store, chunkPatience: Self.chunkPatience, isCancelled: isUnwanted)
        return try store.verifiedPath(file.digest, size: file.size)
      }
      if isUnwanted() { throw .cancelled(file.digest) }
      if access(store.directory, F_OK) != 0 { throw .io(operation: "use", path: store.directory, errno: errno) }
      Thread.sleep(forTimeInterval: Self.waitPause)
    }
  }
}
