/// What was wrong with a file of a model, a token set or a packed result. One line: what, where, expected, got.
public struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The broad kind, for exit codes and tests.
  public enum Kind: String, Sendable {
    /// There is no such file, directory or tensor.
    case missing
    /// The bytes do not say what the format asks for.
    case malformed
    /// Well formed, but not what is asked for here: another shape, type, architecture.
    case mismatch
    /// The operating system refused: permissions, disk full, device error.
    case io
  }

  public let kind: Kind
  /// The file or directory, as the user named it.
  public let path: String
  public let message: String

  public init(_ kind: Kind, path: String, _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }

  public var description: String { "\(path): \(message)" }
}
