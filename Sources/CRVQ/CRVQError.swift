/// Why a fit or a packed linear was refused. One line: what, where, expected, got, what to do.
public struct CRVQError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The broad kind, for exit codes and tests.
  public enum Kind: String, Sendable {
    /// An option outside its range.
    case option
    /// A weight or Gram matrix that cannot be fitted: wrong shape, NaN, infinity, an H that no inputs can have.
    case input
    /// Packed tensors that do not say what the format asks for.
    case malformed
    /// The caller's progress function asked to stop.
    case cancelled
  }

  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }
}
