import Foundation

/// The memory side of this process's control group, of either version of the kernel's interface.
package struct ControlGroup: Sendable {
  /// Its own, and those of the groups it is in.
  private let directories: [String]
  private var directory: String { directories[0] }
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
    var directories = [directory]
    while let last = directories.last, last.count > mounted.count, last.hasPrefix(mounted) {
      directories.append((last as NSString).deletingLastPathComponent)
    }
    self.directories = directories
  }

  /// How often the kernel has ended a process of the group for want of memory.
  package var outOfMemoryKills: Int? {
    value("oom_kill", in: isUnified ? "memory.events" : "memory.oom_control", of: directory)
  }

  /// What all its processes may have together, by its own limit and those of the groups it is in; nil without a limit.
  package var memoryLimit: ByteSize? { directories.compactMap(limit).min().map { ByteSize(bytes: $0) } }

  /// The limit less what is in use and cannot be dropped, whichever group leaves least; nil without a limit.
  package var memoryLeft: ByteSize? {
    directories.compactMap { directory -> UInt64? in
      guard let limit = limit(directory),
        let used = number(isUnified ? "memory.current" : "memory.usage_in_bytes", in: directory)
      else { return nil }
      let cached = value(isUnified ? "inactive_file" : "total_inactive_file", in: "memory.stat", of: directory) ?? 0
      let held = used > UInt64(cached) ? used - UInt64(cached) : 0
      return limit > held ? limit - held : 0
    }.min().map { ByteSize(bytes: $0) }
  }

  private func limit(_ directory: String) -> UInt64? {
    number(isUnified ? "memory.max" : "memory.limit_in_bytes", in: directory).flatMap { $0 < Self.unlimited ? $0 : nil }
  }

  private func number(_ file: String, in directory: String) -> UInt64? {
    text(file, in: directory).flatMap { UInt64($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  /// The number after a name, of a file of such lines.
  private func value(_ name: String, in file: String, of directory: String) -> Int? {
    for line in text(file, in: directory)?.split(separator: "\n") ?? [] {
      let words = line.split(separator: " ")
      if words.count == 2, words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private func text(_ file: String, in directory: String) -> String? {
    try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8)
  }
}
