import Machines
import Synchronization

/// Tells a worker that the kernel has ended for want of memory from one that somebody killed.
///
/// The kernel counts, for a control group or else the machine, the processes it has ended; each count explains one death.
package final class OutOfMemoryWatch: Sendable {
  private let count: @Sendable () -> Int?
  private let explained: Mutex<Int>

  /// - Parameter count: the kernel's count now; nil where there is none.
  package init(
    count: @escaping @Sendable () -> Int? = { ControlGroup.own?.outOfMemoryKills ?? Machine.outOfMemoryKills }
  ) {
    self.count = count
    explained = Mutex(count() ?? 0)
  }

  /// Whether a death that looks like it was one for want of memory.
  package func explains(_ end: ProcessEnd) -> Bool {
    guard end.isKill, let count = count() else { return false }
    return explained.withLock { explained in
      if count <= explained { return false }
      explained += 1
      return true
    }
  }
}
