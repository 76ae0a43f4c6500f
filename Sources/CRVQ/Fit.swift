import Foundation
import Numerics

/// Fits one linear: finds the packed form whose output differs least, tr((W-Ŵ) H (W-Ŵ)ᵀ), by exact alternating
/// minimisation over scales, codebooks and codes. The article on the solver explains the steps.
///
/// - Parameters:
///   - weight: W, [out, in].
///   - gram: H, [in, in], symmetric: the mean of x xᵀ over the inputs of the linear. It may be singular or slightly indefinite.
///   - streamKey: names the linear ("block 3 q_proj"): with the seed it determines every random choice, so that a linear fits
///     to the same bytes whoever fits it, with any number of threads.
///   - progress: called after every round with its number from 1 and the relative error; false stops the fit.
/// - Throws: ``CRVQError``: an option out of range, a shape that does not belong, a value that is not a number, a cancelled fit.
public func fit(
  weight: Matrix, gram: Matrix, options: FitOptions = FitOptions(), streamKey: String = "", team: ThreadTeam,
  progress: (_ round: Int, _ relativeError: Double) -> Bool = { _, _ in true }
) throws -> FitResult {
  try options.validate()
  let clock = ContinuousClock()
  let start = clock.now
  let problem = try Problem(weight: weight, gram: gram)
  var steps = FitSteps()
  let order = steps.measure(\.importance) {
    ChannelOrder(problem, options: options, streamKey: streamKey, team: team).channels
  }
  let state = FitState(rows: problem.rows, format: options.format, channels: problem.columns, team: team)
  steps.measure(\.preparation) {
    state.load(problem, order: order)
    state.prepareProducts()
  }
  steps.measure(\.start) {
    // Half way, on a logarithmic scale, between all channels alike and diag(H): loud channels matter, but the feedback
    // moves much of their error to others.
    let weights = Buffer<Float>(state.columns)
    for c in 0..<state.columns { weights.base[c] = max(0, state.h.base[c * state.columns + c]).squareRoot() }
    state.startCodebooks(weights: weights.base, seed: options.seed, streamKey: streamKey)
  }
  let rounds = try state.alternate(options, streamKey: streamKey, steps: &steps, progress: progress)
  let (packed, errors) = try steps.measure(\.packing) {
    let packed = try state.pack(problem, options: options, order: order)
    return (packed, state.errors(of: packed, problem, order: order))
  }
  return FitResult(
    packed: packed, relativeError: errors.relative, frobeniusError: errors.frobenius, bits: packed.bitsPerWeight,
    rounds: rounds, seconds: (clock.now - start) / .seconds(1), steps: steps)
}
