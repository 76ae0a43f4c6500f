import Foundation
import Messaging

/// Files of the job that this machine does not have, fetched from the coordinator into a place that the workers of a machine share:
/// the manifest of the model, its parts, the tokens.
package struct ServedFiles: Sendable {
  private static let waitPause = 0.1

  private let store: ArtifactStore
  private let coordinator: ArtifactHolder
  private let client: ArtifactClient
  /// Whether whoever waits for a file still wants it.
  private let isCancelled: @Sendable () -> Bool

  /// - Parameter directory: made if it is not there.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package init(
    in directory: String, from coordinator: ArtifactHolder, by client: ArtifactClient,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws(ArtifactError) {
    store = try ArtifactStore(directory: directory, durability: .cache)
    self.coordinator = coordinator
    self.client = client
    self.isCancelled = isCancelled
  }

  /// As ``path(of:)``, for use in tasks.
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

  /// Where a file is, its bytes checked. Fetched if it is not there yet, by one process of this machine while the others wait.
  ///
  /// - Throws: ``ArtifactError``.
  package func path(of file: Artifact) throws(ArtifactError) -> String {
    let lockPath = "\(store.directory)/\(file.digest.hex).lock"
    while true {
      if store.contains(file.digest, size: file.size), let path = try? store.verifiedPath(file.digest, size: file.size)
      {
        return path
      }
      if let lock = try FileLock.take(lockPath, makingFile: true) {
        defer { unlink(lock.path) }
        // Looks again whether it is there: the process before may have brought it.
        try client.fetch(file, from: [coordinator], into: store, isCancelled: isCancelled)
        return try store.verifiedPath(file.digest, size: file.size)
      }
      if isCancelled() { throw .cancelled(file.digest) }
      Thread.sleep(forTimeInterval: Self.waitPause)
    }
  }
}
