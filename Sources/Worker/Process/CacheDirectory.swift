import Foundation

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
