/// What a run must reach, in ratios, so that it holds on any machine.
enum Thresholds {
  /// Geometric mean over the seven linears of relative error over published.
  static let meanError = 0.52
  static let worstError = 0.92
  /// Time of the seven linears over that of a product of two squares of side 4096.
  static let blockUnits = 5.0
  /// Time of one large linear over that of its product W·H.
  static let products = 45.0
  /// Speed on two threads over speed on one.
  static let twoThreads = 1.8
  /// Peak memory over in² + 2 · out · in values of four bytes and ``slackBytes``.
  static let memory = 1.0
  /// Code, libraries, stacks, scratch memory and codes.
  static let slackBytes = 160 << 20
}

/// The authors' released code on the same W and H (SmolLM2-135M-Instruct, block 0; d = 8, e = 8,8,8,8, λ = 2 %).
struct Published {
  let linear: String
  let site: String
  let relativeError: Double

  static let all = [
    Published(linear: "self_attn.q_proj", site: "attn_in", relativeError: 0.00658),
    Published(linear: "self_attn.k_proj", site: "attn_in", relativeError: 0.00899),
    Published(linear: "self_attn.v_proj", site: "attn_in", relativeError: 0.05908),
    Published(linear: "self_attn.o_proj", site: "attn_out", relativeError: 0.00123),
    Published(linear: "mlp.gate_proj", site: "mlp_in", relativeError: 0.07514),
    Published(linear: "mlp.up_proj", site: "mlp_in", relativeError: 0.16513),
    Published(linear: "mlp.down_proj", site: "mlp_hidden", relativeError: 0.04530),
  ]
}
