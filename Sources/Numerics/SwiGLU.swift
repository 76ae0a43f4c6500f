import CKernels

/// The gated activation of Llama-like MLPs (Shazeer, arXiv 2002.05202).
public enum SwiGLU {
  /// gate ← silu(gate) · up, over `count` values.
  public static func forward(
    gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    crvq_swiglu(gate, up, count)
  }
}
