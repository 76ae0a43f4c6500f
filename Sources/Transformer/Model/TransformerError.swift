/// Why a model cannot be used or an input cannot be run through it. One line: what, where, expected, got.
public struct TransformerError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The broad kind, for tests and exit codes.
  public enum Kind: String, Sendable {
    /// The model asks for something this module does not compute.
    case unsupported
    /// Tokens, hidden states or targets that do not fit the model or each other.
    case invalidInput
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
