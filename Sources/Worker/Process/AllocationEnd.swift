import Foundation
import Messaging
import Synchronization

/// What a worker does about the time at which its machine is taken away: it takes no task that it would not finish by the
/// longest such task so far, and leaves when it has none left.
package struct AllocationEnd: Sendable {
  /// Before the end, for a goodbye that arrives.
  package static let reserve = 20.0
  /// How much longer than the longest so far a task may take.
  private static let caution = 1.25

  package let end: Date
  private var longest: [String: Double] = [:]
  /// It has turned a task down, so that it is of no more use.
  package private(set) var isLeaving = false

  package init(end: Date) { self.end = end }

  /// A task took so many seconds.
  package mutating func finished(_ task: WireTaskID, seconds: Double) {
    longest[Self.workload(task), default: 0] = max(longest[Self.workload(task)] ?? 0, seconds)
  }

  /// Whether a task is taken at `now`; once one is not, none is.
  package mutating func takes(_ task: WireTaskID, at now: Date) -> Bool {
    // Of a kind not seen so far, the longest of all kinds is as good a guess as there is.
    let usual = longest[Self.workload(task)] ?? longest.values.max() ?? 0
    if now.addingTimeInterval(usual * Self.caution + Self.reserve) > end { isLeaving = true }
    return !isLeaving
  }

  /// Whether even running tasks have to be given back.
  package func isOver(at now: Date) -> Bool { now.addingTimeInterval(Self.reserve / 2) >= end }

  /// Tasks that take about as long as each other.
  private static func workload(_ task: WireTaskID) -> String { "\(task.kind) \(task.linear)" }
}

/// An ``AllocationEnd`` that the slots and the loop share; without one, every task is taken.
final class SharedAllocationEnd: Sendable {
  private let end: Mutex<AllocationEnd?>

  init(_ end: Date?) { self.end = Mutex(end.map { AllocationEnd(end: $0) }) }

  func finished(_ task: WireTaskID, seconds: Double) { end.withLock { $0?.finished(task, seconds: seconds) } }

  func takes(_ task: WireTaskID) -> Bool { end.withLock { $0?.takes(task, at: Date()) ?? true } }

  /// Why the worker is to leave now; nil to stay.
  ///
  /// - Parameter isIdle: whether it has nothing left to do.
  func reasonToLeave(isIdle: @autoclosure () -> Bool) -> String? {
    guard let end = end.withLock({ $0 }), end.isOver(at: Date()) || (end.isLeaving && isIdle()) else { return nil }
    return "its allocation ends at \(end.end.formatted(.iso8601))"
  }
}
