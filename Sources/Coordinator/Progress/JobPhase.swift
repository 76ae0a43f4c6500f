/// What a job is at, in the words that people read.
///
/// Not an enumeration: a phase that a coordinator of another version has noted is shown as it is.
public struct JobPhase: RawRepresentable, Codable, Sendable, Equatable {
  public static let waiting = JobPhase(rawValue: "waiting for workers")
  public static let running = JobPhase(rawValue: "running")
  public static let writing = JobPhase(rawValue: "writing the output")
  public static let done = JobPhase(rawValue: "done")

  public let rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }
}
