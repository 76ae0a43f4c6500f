import Numerics

/// Receives the gradients of a block's parameters during a backward pass, one tensor at a time, so that no more than one weight
/// gradient is in memory: a sink folds it into what it really needs, codebooks and scales say.
///
/// Each call brings the sum over the micro-batch of the pass; a sink adds up those of several passes.
public protocol BlockGradientSink: AnyObject {
  /// The linears whose weight gradients are wanted.
  var linears: Set<LinearRole> { get }

  /// Takes in ∂loss/∂W of one of ``linears``.
  ///
  /// - Parameter gradient: [outFeatures, inFeatures], valid during the call.
  func add(weightGradient gradient: UnsafePointer<Float>, of linear: LinearSpec, team: ThreadTeam)

  /// Takes in the gradient of a linear's bias, [outFeatures]; called for every linear that has one.
  func add(biasGradient gradient: [Float], of linear: LinearSpec)

  /// Takes in the gradients of the weights of both norms, [hiddenSize].
  func add(inputNormGradient: [Float], mlpNormGradient: [Float])
}
