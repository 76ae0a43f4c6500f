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
  let factor = steps.measure(\.preparation) {
    state.load(problem, order: order)
    state.prepareProducts()
    return FeedbackFactor(state, damping: options.damping)
  }
  steps.measure(\.start) {
    // Half way, on a logarithmic scale, between all channels alike and diag(H): loud channels matter, but the feedback
    // moves much of their error to others.
    let weights = Buffer<Float>(state.columns)
    for c in 0..<state.columns { weights.base[c] = max(0, state.h.base[c * state.columns + c]).squareRoot() }
    state.startCodebooks(weights: weights.base, seed: options.seed, streamKey: streamKey)
  }
  let rounds = try state.alternate(options, factor, steps: &steps, progress: progress)
  let (packed, errors) = try steps.measure(\.packing) {
    let packed = try state.pack(problem, options: options, order: order)
    return (packed, state.errors(of: packed, problem, order: order))
  }
  return FitResult(
    packed: packed, relativeError: errors.relative, frobeniusError: errors.frobenius, bits: packed.bitsPerWeight,
    rounds: rounds, seconds: (clock.now - start) / .seconds(1), steps: steps)
}

extension FitState {
  /// Rounds of codes, scales and codebooks until one gains too little.
  ///
  /// - Returns: the number of rounds.
  fileprivate func alternate(
    _ options: FitOptions, _ factor: FeedbackFactor, steps: inout FitSteps,
    progress: (Int, Double) -> Bool
  ) throws -> Int {
    let gradient = Buffer<Float>(codebooks.count)
    var last = Double.infinity
    for round in 1...options.maximumRounds {
      if round <= options.feedbackRounds || round == 1 { steps.measure(\.feedback) { feedBack(factor) } }
      steps.measure(\.descent) { descend() }
      steps.measure(\.scales) { rescale(gradient: gradient) }
      steps.measure(\.codebooks) { refitCodebooks(gradient: gradient, steps: options.codebookSteps) }
      let error = relativeError
      guard progress(round, error) else { throw CRVQError(.cancelled, "the fit was cancelled in round \(round)") }
      if error == 0 || (round > options.feedbackRounds && last - error < options.tolerance * last) { return round }
      last = error
    }
    return options.maximumRounds
  }

  /// Rounds codebooks and scales to float16 and lays everything out as stored.
  fileprivate func pack(_ problem: Problem, options: FitOptions, order: [Int]) throws -> PackedLinear {
    balance()
    let halfCodebooks = Half.narrow(codebooks.array)
    // The scales are the best ones for the codebooks as they will be read.
    codebooks.base.update(from: Half.widen(halfCodebooks), count: codebooks.count)
    rescale(gradient: nil)
    func list(_ book: Codebook) -> [UInt16] {
      Array(UnsafeBufferPointer(start: codes.base + book.codeOffset, count: rows * book.groups))
    }
    return try PackedLinear(
      name: "the fitted linear", format: options.format, rows: rows, columns: problem.columns,
      codes: list(books[0]), criticalCodes: books.dropFirst().map(list), codebooks: halfCodebooks,
      scales: Half.narrow(scales.array), channelOrder: order.map { UInt32($0) })
  }

  /// Moves a power of two between scales and codebooks so that both lie well inside float16's range.
  private func balance() {
    func largest(_ buffer: Buffer<Float>) -> Float {
      UnsafeBufferPointer(start: buffer.base, count: buffer.count).reduce(0) { max($0, $1.magnitude) }
    }
    let (scale, codeword) = (largest(scales), largest(codebooks))
    guard scale > 0, codeword > 0 else { return }
    let factor = exp2(((log2(scale) - log2(codeword)) / 2).rounded())
    for i in 0..<codebooks.count { codebooks.base[i] *= factor }
    for i in 0..<rows { scales.base[i] /= factor }
  }

  /// The errors of what was packed, by decoding it.
  fileprivate func errors(
    of packed: PackedLinear, _ problem: Problem, order: [Int]
  ) -> (relative: Double, frobenius: Double) {
    let decoded = packed.decode(team: team)
    let n = columns
    let lost = Buffer<Double>(pieces, filledWith: 0)
    forEachPiece { piece, range, scratch in
      let (e, r) = (scratch.e.base, scratch.r.base)
      for row in range {
        let at = (row - range.lowerBound) * n
        (e + at).update(repeating: 0, count: n)
        for (position, channel) in order.enumerated() {
          e[at + position] = w.base[row * n + position] - decoded.values[row * order.count + channel]
        }
      }
      BLAS.sgemm(.no, .no, m: range.count, n: n, k: n, e, lda: n, h.base, ldb: n, r, ldc: n)
      var sum = 0.0
      for row in 0..<range.count { sum += Double(BLAS.sdot(n, e + row * n, r + row * n)) }
      lost.base[piece] = sum
    }
    let whole = energies.array.reduce(0, +)
    let total = max(0, lost.array.reduce(0, +))
    let relative = total == 0 ? 0 : whole > 0 ? total / whole : .infinity
    return (relative, CRVQ.frobeniusError(weight: problem.weight, decoded: decoded))
  }
}
