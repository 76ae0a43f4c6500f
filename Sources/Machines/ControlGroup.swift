import Foundation
import JobGraph

/// The memory side of this process's control group, of either version of the kernel's interface.
package struct ControlGroup: Sendable {
  private let directory: String
  private let isUnified: Bool

  /// A limit above this is none: version 1 writes the largest number there is.
  private static let unlimited = UInt64(1) << 60

  /// That of this process and of those it starts; nil where there is none to read.
  package static let own = ControlGroup(
    membership: (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? "", root: "/sys/fs/cgroup")

  /// - Parameter membership: the text of /proc/PID/cgroup.
  package init?(membership: String, root: String) {
    var found: (path: String, isUnified: Bool)?
    for line in membership.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      if parts[1].split(separator: ",").contains("memory") { found = ("\(root)/memory\(parts[2])", false) }
      if parts[0] == "0", found == nil { found = ("\(root)\(parts[2])", true) }
    }
    guard let found else { return nil }
    isUnified = found.isUnified
    let file = isUnified ? "memory.events" : "memory.oom_control"
    // Inside a container the path may be that of the host, while the group is mounted at the root.
    let mounted = isUnified ? root : "\(root)/memory"
    let candidates = [found.path, mounted].map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
    guard let directory = candidates.first(where: { access("\($0)/\(file)", R_OK) == 0 }) else { return nil }
    self.directory = directory
  }

  /// How often the kernel has ended a process of the group for want of memory.
  package var outOfMemoryKills: Int? { value("oom_kill", in: isUnified ? "memory.events" : "memory.oom_control") }

  /// What all its processes may have together; nil without a limit.
  package var memoryLimit: ByteSize? {
    guard let limit = number(isUnified ? "memory.max" : "memory.limit_in_bytes"), limit < Self.unlimited else {
      return nil
    }
    return ByteSize(bytes: limit)
  }

  /// The limit less what is in use and cannot be dropped; nil without a limit.
  package var memoryLeft: ByteSize? {
    guard let limit = memoryLimit?.bytes, let used = number(isUnified ? "memory.current" : "memory.usage_in_bytes")
    else { return nil }
    let cached = value(isUnified ? "inactive_file" : "total_inactive_file", in: "memory.stat").map { UInt64($0) } ?? 0
    let held = used > cached ? used - cached : 0
    return ByteSize(bytes: limit > held ? limit - held : 0)
  }

  private func number(_ file: String) -> UInt64? {
    text(file).flatMap { UInt64($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  /// The number after a name, of a file of such lines.
  private func value(_ name: String, in file: String) -> Int? {
    for line in text(file)?.split(separator: "\n") ?? [] {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private func text(_ file: String) -> String? { try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8) }
}
