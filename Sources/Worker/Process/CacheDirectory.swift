import Foundation
import Messaging

/// Where a worker keeps what it makes. Without a place of its own it lies in the temporary directory and goes with the process.
struct CacheDirectory {
  let path: String
  private let isTemporary: Bool

  private static let prefix = "crvq-worker-"

  /// Also removes what workers left in the temporary directory that were killed.
  init(_ given: String?) {
    if let given {
      path = given
      isTemporary = false
      return
    }
    Self.sweep()
    path = Self.temporary + Self.prefix + "\(ProcessInfo.processInfo.processIdentifier)"
    isTemporary = true
  }

  /// Makes the directory, so that one that cannot be is known before any work begins.
  ///
  /// - Throws: ``WorkerError`` `.io`.
  func make() throws(WorkerError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch { throw .io("\(path): cannot make the cache directory: \(error.localizedDescription)") }
  }

  /// Where the artifacts of a job lie. The name of the job comes over the wire, so it is no part of the path.
  func path(ofJob job: String) -> String { "\(path)/\(Digest.of(Array(job.utf8)).hex.prefix(Self.jobNameLength))" }

  /// Enough that no two jobs meet.
  private static let jobNameLength = 32

  /// Removes what workers that have ended left of other jobs; nobody asks for it any more.
  func removeOthers(than job: String) {
    let own = path(ofJob: job)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      let directory = "\(path)/\(name)"
      // Only what this program can have made.
      guard name.count == Self.jobNameLength, name.allSatisfy(\.isHexDigit), directory != own else { continue }
      ArtifactStore.removeIdle(directory)
    }
  }

  func remove() {
    if isTemporary { try? FileManager.default.removeItem(atPath: path) }
  }

  private static var temporary: String {
    let path = NSTemporaryDirectory()
    return path.hasSuffix("/") ? path : path + "/"
  }

  private static func sweep() {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: temporary)) ?? [] where name.hasPrefix(prefix) {
      guard let process = Int32(name.dropFirst(prefix.count)) else { continue }
      // Signal 0 asks whether there is such a process.
      if kill(process, 0) != 0, errno == ESRCH { try? FileManager.default.removeItem(atPath: temporary + name) }
    }
  }
}
