import CKernels

/// The gated activation of Llama-like MLPs (Shazeer, arXiv 2002.05202).
public enum SwiGLU {
  /// gate ← silu(gate) · up, over `count` values.
  public static func forward(
    gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    crvq_swiglu(gate, up, count)
  }

  /// The gradient of ``forward(gate:up:count:)``, in place: `upstream` holds the gradient of the result and receives the
  /// result; `gate` and `up`, as they were before the forward pass, receive their gradients. No two may overlap.
  public static func backward(
    gate: UnsafeMutablePointer<Float>, up: UnsafeMutablePointer<Float>, upstream: UnsafeMutablePointer<Float>,
    count: Int
  ) {
    crvq_swiglu_backward(gate, up, upstream, count)
  }
}
