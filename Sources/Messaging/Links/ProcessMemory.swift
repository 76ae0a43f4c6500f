import Foundation

/// What the kernel says of this process's memory.
package enum ProcessMemory {
  /// Bytes it has in memory, with those of files that it maps; 0 where there is no `/proc`.
  package static var resident: UInt64 {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (UInt64(fields[1]) ?? 0) * UInt64(sysconf(Int32(_SC_PAGESIZE))) : 0
  }
}
