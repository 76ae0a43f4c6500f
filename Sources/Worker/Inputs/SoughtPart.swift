import Checkpoint
import Foundation
import Messaging
import Synchronization

/// A part of the model and, once a task asked for it, where it is. Found by one thread while others wait for it.
final class SoughtPart: Sendable {
  enum Place: Sendable {
    /// In the model that this machine has.
    case here(Checkpoint)
    /// Fetched from the coordinator.
    case fetched(SafetensorsFile, Artifact)
  }

  private enum State {
    case unknown
    case sought
    case found(Place)
  }

  private static let waitPause = 0.1

  let layout: ModelPart
  /// nil for a manifest without a digest, which no coordinator writes.
  let artifact: Artifact?
  private let state = Mutex(State.unknown)

  init(_ entry: ModelManifest.Entry) {
    layout = entry.part
    artifact = Digest(hex: entry.digest).map { Artifact(digest: $0, size: UInt64(entry.part.byteCount)) }
  }

  /// Where the part is.
  ///
  /// - Parameter find: is called by the first that asks, and by the next if it throws.
  /// - Throws: what `find` throws; ``TaskError`` `.cancelled` while another thread looks for it.
  func place(_ find: () throws -> Place) throws -> Place {
    while true {
      let (isMine, place) = claim()
      if let place { return place }
      if isMine {
        do {
          let place = try find()
          state.withLock { $0 = .found(place) }
          return place
        } catch {
          forget()
          throw error
        }
      }
      try TaskControl.current?.goOn()
      Thread.sleep(forTimeInterval: Self.waitPause)
    }
  }

  /// Has the part looked for again before its next use.
  func forget() { state.withLock { $0 = .unknown } }

  private func claim() -> (isMine: Bool, place: Place?) {
    state.withLock { state in
      switch state {
      case .found(let place): return (false, place)
      case .sought: return (false, nil)
      case .unknown:
        state = .sought
        return (true, nil)
      }
    }
  }
}
