/// Why keys cannot be made or used. One line, with the file and what to do.
public struct KeyError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable {
    /// Something is there that would have to be overwritten, or a name cannot be one.
    case usage
    /// A file is missing, open to others, or not a key.
    case unusable
    /// The operating system refused.
    case io
  }

  public let kind: Kind
  public let path: String
  public let reason: String

  public var description: String { "\(path): \(reason)" }
}
