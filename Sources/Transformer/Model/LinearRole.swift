/// The weight matrices of a decoder block, in the order of the forward pass. Raw values are the names in checkpoints.
public enum LinearRole: String, Sendable, Hashable, CaseIterable, Codable {
  case query = "self_attn.q_proj"
  case key = "self_attn.k_proj"
  case value = "self_attn.v_proj"
  case output = "self_attn.o_proj"
  case gate = "mlp.gate_proj"
  case up = "mlp.up_proj"
  case down = "mlp.down_proj"

  /// The linear whose product is added to the block's output last: only it can make up for what all others lost.
  public static let repairing = LinearRole.down

  /// Where the activations that this linear multiplies come from.
  public var site: Site {
    switch self {
    case .query, .key, .value: .attentionInput
    case .output: .attentionOutput
    case .gate, .up: .mlpInput
    case .down: .mlpHidden
    }
  }
}
