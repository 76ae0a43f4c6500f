import Foundation

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

  /// The broad kind.
  public let kind: Kind
  /// The file or directory, as the user named it.
  public let path: String
  /// What is wrong there: expected and got.
  public let message: String

  /// An error about `path`.
  public init(_ kind: Kind, path: String, _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }

  /// Path and message, on one line.
  public var description: String { "\(path): \(message)" }

  /// A failed system call, with the system's own words.
  static func system(_ action: String, _ path: String, _ code: Int32) -> CheckpointError {
    CheckpointError(.io, path: path, "\(action): \(String(cString: strerror(code)))")
  }

  /// A value of a tensor that is NaN or infinite, and its coordinates.
  package static func notFinite(_ value: Float, at place: [Int], of name: String, path: String) -> CheckpointError {
    CheckpointError(.malformed, path: path, "tensor \(name): expected finite values, got \(value) at \(place)")
  }

  /// A failed `open` for reading.
  static func opening(_ path: String, _ code: Int32) -> CheckpointError {
    code == ENOENT || code == ENOTDIR
      ? CheckpointError(.missing, path: path, "no such file") : .system("cannot open", path, code)
  }
}
