/// A worker process, named anew at each start.
public struct WorkerID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  public static func < (left: WorkerID, right: WorkerID) -> Bool { left.description < right.description }
}
