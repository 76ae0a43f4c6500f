import Foundation
import Messaging
import Synchronization

/// Files of the job that this machine does not have, fetched from the coordinator into a place that the workers of a machine share:
/// the manifest of the model, its parts, the tokens.
package final class CoordinatorFiles: Sendable {
  private static let waitPause = 0.1
  /// A coordinator has many to serve, and what it holds nobody else has: it is waited for longer than a worker.
  private static let chunkPatience = Duration.seconds(60)

  private let store: ArtifactStore
  private let holder: Mutex<ArtifactHolder>
  private let client: ArtifactClient
  private let lockPatience: Duration
  /// Whether whoever waits for a file still wants it.
  private let isUnwanted: @Sendable () -> Bool

  /// - Parameters:
  ///   - directory: made if it is not there.
  ///   - lockPatience: after so long without a sign of life from the process that fetches a file, the others do not wait for it.
  /// - Throws: ``ArtifactError`` `.io`, `.outOfSpace`.
  package init(
    in directory: String, from coordinator: ArtifactHolder, by client: ArtifactClient,
    lockPatience: Duration = .seconds(60), isUnwanted: @escaping @Sendable () -> Bool
  ) throws(ArtifactError) {
    store = try ArtifactStore(directory: directory, durability: .cache)
    holder = Mutex(coordinator)
    self.client = client
    self.lockPatience = lockPatience
    self.isUnwanted = isUnwanted
  }

  /// Where the coordinator serves its files. Its successor has another place.
  package var coordinator: ArtifactHolder {
    get { holder.withLock { $0 } }
    set { holder.withLock { $0 = newValue } }
  }

  /// How long the next chunk is waited for where holders are the coordinator; nil, for what is usual, where they are not.
  package func chunkPatience(for holders: [ArtifactHolder]) -> Duration? {
    holders.contains { $0.endpoint == coordinator.endpoint } ? Self.chunkPatience : nil
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
    var sign: Duration?
    var deadline = ContinuousClock.now + lockPatience
    while true {
      if store.contains(file.digest, size: file.size), let path = try? store.verifiedPath(file.digest, size: file.size)
      {
        return path
      }
      let lock = try FileLock.take(lockPath, makingFile: true)
      if let latest = Self.signOfLife(at: lockPath), latest != sign {
        sign = latest
        deadline = .now + lockPatience
      }
      if lock != nil || ContinuousClock.now >= deadline {
        defer { if let lock { unlink(lock.path) } }
        try fetch(file, holding: lock)
        return try store.verifiedPath(file.digest, size: file.size)
      }
      if isUnwanted() { throw .cancelled(file.digest) }
      if access(store.directory, F_OK) != 0 { throw .io(operation: "use", path: store.directory, errno: errno) }
      Thread.sleep(forTimeInterval: Self.waitPause)
    }
  }

  /// Fetches a file, unless the process that had the lock before has brought it. Meanwhile the others see from the lock's file
  /// that this process lives: the kernel takes the lock of a dead one back, but not that of one that was stopped. More they
  /// need not know, for a fetch that gets no more chunks ends by itself.
  private func fetch(_ file: Artifact, holding lock: FileLock?) throws(ArtifactError) {
    try client.fetch(file, from: [coordinator], into: store, chunkPatience: Self.chunkPatience) {
      // Asked for every chunk, and several times a second between them.
      if let lock { futimens(lock.descriptor, nil) }
      return isUnwanted()
    }
  }

  /// When the process that has a lock was last seen to live, by the file system's clock; nil if there is no such file.
  private static func signOfLife(at lockPath: String) -> Duration? {
    var status = stat()
    guard stat(lockPath, &status) == 0 else { return nil }
    return Duration.seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec)
  }
}
