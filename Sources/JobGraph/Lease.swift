/// The right to report the result of a task. Results under any other lease are dropped.
public struct Lease: Hashable, Sendable, Comparable {
  public let number: UInt64

  public init(number: UInt64) { self.number = number }

  public static func < (left: Lease, right: Lease) -> Bool { left.number < right.number }
}
