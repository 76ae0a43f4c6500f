import Foundation
import Messaging

/// A directory of a cache that one process has for itself, by a lock that the kernel takes back when the process ends.
///
/// So what a killed process left can be taken over, and what a process that only stands still has cannot.
package final class Berth: Sendable {
  /// In one directory.
  private static let limit = 256
  private static let lockName = "lock"
  /// Beside the berths, for all that have one: gone with the last of them.
  static let commonName = "files"
  private static let holderLength = 16

  package let path: String
  /// The worker that had it before, if any had.
  package let predecessor: Data?
  private let lock: FileLock

  private init(path: String, predecessor: Data?, lock: FileLock) {
    self.path = path
    self.predecessor = predecessor
    self.lock = lock
  }

  /// Takes the first that is free in `directory`, or makes one.
  ///
  /// - Parameter worker: who has it from now on, 16 bytes.
  /// - Throws: ``WorkerError`` `.io`.
  package static func take(in directory: String, for worker: Data) throws(WorkerError) -> Berth {
    for number in 0..<limit {
      let path = "\(directory)/\(number)"
      try CacheDirectory.make(path)
      guard let lock = try lock(path) else { continue }
      let predecessor = holder(lock)
      // Whoever comes next can do without knowing, so a failure does not matter.
      _ = worker.withUnsafeBytes { pwrite(lock.descriptor, $0.baseAddress, $0.count, 0) }
      return Berth(path: path, predecessor: predecessor, lock: lock)
    }
    throw .io("\(directory): \(limit) processes use this cache; give this worker another --cache")
  }

  /// Whether somebody has removed it, or its lock, so that another process may have it by now.
  package var isGone: Bool { lock.isGone }

  /// Removes it with all that is in it, if it is still this process's. The lock goes last, with the object.
  package func remove() {
    if !isGone { try? FileManager.default.removeItem(atPath: path) }
    Self.removeUnused(Directory.parent(of: path))
  }

  /// Removes those in `directory` that no process has, and the directory if none is left.
  package static func removeIdle(in directory: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
      let path = "\(directory)/\(name)"
      // One without a lock is being made, or removed, by another.
      guard UInt(name) != nil, let lock = try? FileLock.take("\(path)/\(lockName)", makingFile: false) else { continue }
      withExtendedLifetime(lock) { try? FileManager.default.removeItem(atPath: path) }
    }
    removeUnused(directory)
  }

  /// Removes what the berths of a directory have in common, and the directory, if it has none.
  private static func removeUnused(_ directory: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    if names.contains(where: { UInt($0) != nil }) { return }
    for name in names where name.hasPrefix(commonName) {
      // Under another name first: whoever takes a berth now finds all there is to be had, or nothing.
      let path = "\(directory)/\(commonName)-\(UInt64.random(in: .min ... .max))"
      if rename("\(directory)/\(name)", path) == 0 { try? FileManager.default.removeItem(atPath: path) }
    }
    rmdir(directory)
  }

  /// - Returns: nil if another process has it, or is removing it.
  private static func lock(_ path: String) throws(WorkerError) -> FileLock? {
    do throws(ArtifactError) {
      return try FileLock.take("\(path)/\(lockName)", makingFile: true)
    } catch {
      // A moment ago the directory was there.
      if case .io(_, _, ENOENT) = error { return nil }
      throw .io("\(error)")
    }
  }

  private static func holder(_ lock: FileLock) -> Data? {
    var bytes = [UInt8](repeating: 0, count: holderLength)
    return pread(lock.descriptor, &bytes, bytes.count, 0) == bytes.count ? Data(bytes) : nil
  }
}
