import Messaging
import Synchronization

/// What a worker has fetched for its tasks: kept for those to come, within a bound.
///
/// What this worker made itself is not among it: others count on it, and the coordinator says when it may go.
package final class InputCopies: Sendable {
  /// Bytes of copies that no task in hand needs.
  package static let idleBytesMax: UInt64 = 1 << 30

  private struct Copy {
    let size: UInt64
    var lastUse: UInt64
    /// Leases of the tasks in hand that need it.
    var users: Set<UInt64>
  }

  private struct State {
    var copies: [Digest: Copy] = [:]
    var uses: UInt64 = 0
  }

  private let store: ArtifactStore
  private let idleBytesMax: UInt64
  private let state = Mutex(State())

  package init(in store: ArtifactStore, idleBytesMax: UInt64 = InputCopies.idleBytesMax) {
    self.store = store
    self.idleBytesMax = idleBytesMax
    // What was fetched for tasks to come is worth less than what is made now.
    store.onFullDisk { [weak self] in self?.removeIdle() }
  }

  /// A task is about to need an artifact. It stays until ``release(_:)``, if it is not one that this worker made.
  package func claim(_ artifact: Artifact, for lease: UInt64) {
    state.withLock { state in
      state.uses += 1
      if state.copies[artifact.digest] == nil {
        if store.contains(artifact.digest, size: artifact.size) { return }
        state.copies[artifact.digest] = Copy(size: artifact.size, lastUse: 0, users: [])
      }
      state.copies[artifact.digest]?.lastUse = state.uses
      state.copies[artifact.digest]?.users.insert(lease)
    }
  }

  /// Whether the artifact is here as a copy.
  func has(_ digest: Digest) -> Bool { state.withLock { $0.copies[digest] != nil } }

  /// This worker made these: they are no copies, if they were before.
  package func disown(_ digests: some Sequence<Digest>) {
    state.withLock { state in for digest in digests { state.copies[digest] = nil } }
  }

  /// A task has ended. Copies that none needs any more go, those first that were not used for longest, until the rest is within
  /// the bound.
  package func release(_ lease: UInt64) {
    state.withLock { state in
      for digest in state.copies.keys { state.copies[digest]?.users.remove(lease) }
      removeIdle(until: idleBytesMax, &state)
    }
  }

  /// Copies that no task in hand needs go, all of them.
  private func removeIdle() { state.withLock { removeIdle(until: 0, &$0) } }

  private func removeIdle(until bytesMax: UInt64, _ state: inout State) {
    let idle = state.copies.filter(\.value.users.isEmpty).sorted { $0.value.lastUse < $1.value.lastUse }
    var bytes = idle.reduce(0) { $0 + $1.value.size }
    for (digest, copy) in idle where bytes > bytesMax {
      // A file that cannot be removed is tried again when the store is opened next.
      _ = try? store.remove(digest)
      state.copies[digest] = nil
      bytes -= copy.size
    }
  }
}
