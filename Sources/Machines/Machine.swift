import Foundation
import Numerics

/// What is known of a machine that may run workers.
public struct Machine: Sendable, Equatable {
  /// As the engine calls it.
  public var name: String
  public var cores: Int
  /// What processes may still take.
  public var memory: ByteSize

  public init(name: String, cores: Int, memory: ByteSize) {
    self.name = name
    self.cores = cores
    self.memory = memory
  }

  /// This machine: the cores this process may use, and what is free or can be freed, within the limits of its control group.
  public static var local: Machine {
    var available = ProcessInfo.processInfo.physicalMemory
    if let meminfo = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
      let free = availableMemory(meminfo: meminfo)
    {
      available = free.bytes
    }
    if let left = ControlGroup.own?.memoryLeft { available = min(available, left.bytes) }
    return Machine(
      name: "this machine", cores: ThreadTeam.availableProcessors, memory: ByteSize(bytes: UInt64(available)))
  }

  /// What a process here can have at most: the machine's memory, or less by the limit of its control group.
  public static var memoryOfProcess: ByteSize {
    let physical = ByteSize(bytes: ProcessInfo.processInfo.physicalMemory)
    return ControlGroup.own?.memoryLimit.map { min($0, physical) } ?? physical
  }

  /// How often the kernel has ended a process of this machine for want of memory; nil where it does not say.
  package static var outOfMemoryKills: Int? {
    guard let text = try? String(contentsOfFile: "/proc/vmstat", encoding: .utf8) else { return nil }
    return text.split(separator: "\n").first { $0.hasPrefix("oom_kill ") }?.split(separator: " ").last.flatMap {
      Int($0)
    }
  }

  /// MemAvailable of a /proc/meminfo.
  package static func availableMemory(meminfo: String) -> ByteSize? {
    for line in meminfo.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      let words = line.split(separator: " ")
      return words.count == 3 && words[2] == "kB" ? ByteSize("\(words[1])K") : nil
    }
    return nil
  }
}
