/// The tensors that a packed linear is stored as. Raw values are what their names end in.
public enum PackedPart: String, Sendable, CaseIterable {
  case codes
  case criticalCodes = "critical_codes"
  case codebooks
  case scales
  case channelOrder = "channel_order"

  /// What follows the linear's path in the tensor's name: ".codes".
  package var suffix: String { ".\(rawValue)" }

  /// The name of this tensor of the linear at `path`: "model.layers.3.self_attn.q_proj.codes".
  public func name(of path: String) -> String { path + suffix }

  /// The names of all tensors that the linear at `path` may have.
  package static func names(of path: String) -> [String] { allCases.map { $0.name(of: path) } }
}
