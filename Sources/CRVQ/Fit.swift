import Foundation
import Numerics

/// Fits one linear: finds the packed form whose output differs least, tr((W-Ŵ) H (W-Ŵ)ᵀ), by exact alternating
/// minimisation over scales, codebooks and codes. The article on the solver explains the steps.
///
/// Both matrices are consumed: a caller that keeps no copy of its own lets the fit work in their memory, and the peak is then
/// in² + 2 · out · in values and little more. Otherwise the fit makes the copies.
///
/// - Parameters:
///   - weight: W, [out, in].
///   - gram: H, [in, in], symmetric: the mean of x xᵀ over the inputs of the linear. It may be singular, and
///     indefinite as far as rounding makes it so. For one of zeros the identity is taken: all weights count alike.
///   - streamKey: names the linear ("block 3 q_proj"): with the seed it determines every random choice, so that a linear fits
///     to the same bytes whoever fits it, with any number of threads.
///   - progress: called after every round with its number from 1 and the relative error; false stops the fit.
/// - Throws: ``CRVQError``: an option out of range, a shape that does not belong, a value that is not a number, an H that no
///   inputs can have, a cancelled fit.
public func fit(
  weight: consuming Matrix, gram: consuming Matrix, options: FitOptions = FitOptions(), streamKey: String = "",
  team: ThreadTeam, progress: (_ round: Int, _ relativeError: Double) -> Bool = { _, _ in true }
) throws -> FitResult {
  try options.validate()
  let clock = ContinuousClock()
  let start = clock.now
  var steps = FitSteps()
  var (weight, gram) = (consume weight, consume gram)
  try Problem.check(weight, gram)
  if gram.isOfZeroInputs { gram = .identity(gram.rows) }
  let shape = FitShape(rows: weight.rows, channels: weight.columns, format: options.format)
  let order = steps.measure(.importance) {
    ChannelOrder(Problem(weight: weight, gram: gram), options: options, streamKey: streamKey, team: team).channels
  }
  steps.measure(.preparation) {
    shape.pad(&weight, rows: shape.rows)
    shape.pad(&gram, rows: shape.columns)
  }
  let (packed, errors, rounds) = try weight.values.withUnsafeMutableBufferPointer { w in
    try gram.values.withUnsafeMutableBufferPointer { h in
      let state = FitState(
        shape, w: Buffer(borrowing: w), h: Buffer(borrowing: h), beamWidth: options.beamWidth, team: team)
      steps.measure(.preparation) {
        state.layOut(order)
        state.prepareProducts()
      }
      try state.requireEnergy(state.energies.array.reduce(0, +), of: "tr(W H Wᵀ)")
      steps.measure(.start) { state.start(options, streamKey: streamKey) }
      let rounds = try state.alternate(options, streamKey: streamKey, steps: &steps, progress: progress)
      return try steps.measure(.packing) {
        let packed = try state.pack(order: order)
        return (packed, try state.errorsOfPacked(), rounds)
      }
    }
  }
  return FitResult(
    packed: packed, relativeError: errors.relative, frobeniusError: errors.frobenius, bits: packed.bitsPerWeight,
    rounds: rounds, seconds: (clock.now - start) / .seconds(1), steps: steps,
    work: FitWork(shape, options, rounds: rounds))
}
