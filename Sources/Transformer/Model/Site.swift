/// A place in a transformer block where activations feed linears. All linears of a site share one Gram matrix.
public enum Site: String, Sendable, Hashable, CaseIterable, Codable {
  /// The normalised input of the block, which feeds the query, key and value projections.
  case attentionInput = "attn_in"
  /// The attended values of all heads, which feed the output projection.
  case attentionOutput = "attn_out"
  /// The normalised input of the MLP, which feeds the gate and up projections.
  case mlpInput = "mlp_in"
  /// silu(gate) · up, which feeds the down projection.
  case mlpHidden = "mlp_hidden"
}
