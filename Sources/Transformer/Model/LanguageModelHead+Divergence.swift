import Foundation
import Numerics

extension LanguageModelHead {
  /// Positions of one piece of work. Their scores of the whole vocabulary are in memory twice.
  package static let divergenceRows = 64

  /// How far what one model expects is from what another one expects, both read by this head: the Kullback-Leibler divergence
  ///
  ///     KL = Σ over tokens of p · (ln p - ln q),    p = softmax of the expected states' scores, q = that of the states'
  ///
  /// of each position, summed over positions, in nats. Distilling a model brings it down (Hinton, Vinyals and Dean, arXiv
  /// 1503.02531).
  ///
  /// - Parameters:
  ///   - hidden: the output of the last block, [sequences, length, hidden].
  ///   - expected: the same of the other model.
  /// - Returns: The sum; not finite if a state is not.
  /// - Throws: ``TransformerError`` if the sizes differ or are not the head's.
  public func divergence(
    of hidden: HiddenStates, from expected: HiddenStates, team: ThreadTeam
  ) throws -> Double {
    try check(hidden, expected)
    return DivergencePass(head: self, hidden: hidden, expected: expected, team: team).run(scale: 0, gradient: nil)
  }

  /// As ``divergence(of:from:team:)``, with the gradient of the sum by `hidden`, times `scale`.
  ///
  /// - Throws: as ``divergence(of:from:team:)``.
  public func divergenceGradient(
    of hidden: HiddenStates, from expected: HiddenStates, scale: Float, team: ThreadTeam
  ) throws -> (sum: Double, gradient: HiddenStates) {
    try check(hidden, expected)
    var gradient = hidden
    let sum = gradient.values.withUnsafeMutableBufferPointer { values in
      values.update(repeating: 0)
      return DivergencePass(head: self, hidden: hidden, expected: expected, team: team)
        .run(scale: scale, gradient: values.baseAddress)
    }
    return (sum, gradient)
  }

  private func check(_ hidden: HiddenStates, _ expected: HiddenStates) throws {
    try check(hidden)
    guard
      expected.sequences == hidden.sequences, expected.length == hidden.length, expected.width == hidden.width
    else {
      throw TransformerError(.invalidInput, "head: the expected states' sizes are not those of the states")
    }
  }

  /// One pass over all positions.
  private struct DivergencePass {
    let head: LanguageModelHead
    let hidden: HiddenStates
    let expected: HiddenStates
    let team: ThreadTeam

    private var width: Int { head.weight.columns }
    private var vocabulary: Int { head.weight.rows }

    /// - Parameter gradient: [rows, hidden], zero, receives the gradient; nil if it is not wanted.
    func run(scale: Float, gradient: UnsafeMutablePointer<Float>?) -> Double {
      let rows = divergenceRows
      let pool = Pool(count: rows * (2 * vocabulary + 2 * width + 1) + vocabulary + width)
      var losses = [Double](repeating: 0, count: hidden.rows)
      losses.withUnsafeMutableBufferPointer { losses in
        nonisolated(unsafe) let (losses, gradient) = (losses, gradient)
        // A loop a piece for each thread, because a loop's end is a sign of life and all of them take long.
        let rowsAtOnce = rows * team.threadCount
        for first in stride(from: 0, to: hidden.rows, by: rowsAtOnce) {
          let count = min(rowsAtOnce, hidden.rows - first)
          team.forEachRange(count, grain: rows) { part in
            let range = first + part.lowerBound..<first + part.upperBound
            pool.withBuffer { scratch in
              let piece = Piece(start: scratch, rows: rows, vocabulary: vocabulary, width: width)
              score(hidden, range, normed: piece.normed, factors: piece.factors, into: piece.scores)
              score(expected, range, normed: piece.upstream, factors: nil, into: piece.expected)
              for row in 0..<range.count {
                losses[range.lowerBound + row] = compare(
                  piece.scores + row * vocabulary, piece.expected + row * vocabulary, scratch: piece.difference,
                  scale: scale)
              }
              if let gradient { propagate(piece, range, into: gradient + range.lowerBound * width) }
            }
          }
        }
      }
      return losses.reduce(0, +)
    }

    /// Scores of the whole vocabulary at a range of positions.
    private func score(
      _ states: HiddenStates, _ range: Range<Int>, normed: UnsafeMutablePointer<Float>,
      factors: UnsafeMutablePointer<Float>?, into scores: UnsafeMutablePointer<Float>
    ) {
      states.values.withUnsafeBufferPointer { values in
        guard let values = values.baseAddress else { return }
        RootMeanSquareNorm.forward(
          values + range.lowerBound * width, weight: head.norm, epsilon: head.normEpsilon, rows: range.count,
          width: width, into: normed, inverseRMS: factors)
      }
      head.score(normed, rows: range.count, tokens: 0..<vocabulary, into: scores)
    }

    /// The divergence at one position.
    ///
    ///     KL = Σ p (z_p - z_q) - ln Σ exp z_p + ln Σ exp z_q,    ∂KL/∂z_q = q - p
    ///
    /// - Parameters:
    ///   - scores: z_q; become the gradient by them, times `scale`.
    ///   - expected: z_p; used up.
    private func compare(
      _ scores: UnsafeMutablePointer<Float>, _ expected: UnsafeMutablePointer<Float>,
      scratch difference: UnsafeMutablePointer<Float>, scale: Float
    ) -> Double {
      difference.update(from: expected, count: vocabulary)
      BLAS.saxpy(vocabulary, -1, scores, difference)
      let (maximum, expectedMaximum) = (
        Softmax.maximum(scores, count: vocabulary), Softmax.maximum(expected, count: vocabulary)
      )
      let total = Softmax.exponentialShifted(scores, count: vocabulary, shift: maximum)
      let expectedTotal = Softmax.exponentialShifted(expected, count: vocabulary, shift: expectedMaximum)
      let lead = BLAS.sdot(vocabulary, expected, difference) / expectedTotal
      Softmax.scale(scores, count: vocabulary, by: scale / total)
      BLAS.saxpy(vocabulary, -scale / expectedTotal, expected, scores)
      return Double(lead) - Double(expectedMaximum) - log(Double(expectedTotal)) + Double(maximum) + log(Double(total))
    }

    /// From the gradient by scores to that by the states.
    private func propagate(_ piece: Piece, _ range: Range<Int>, into gradient: UnsafeMutablePointer<Float>) {
      hidden.values.withUnsafeBufferPointer { values in
        head.weight.values.withUnsafeBufferPointer { weight in
          guard let values = values.baseAddress, let weight = weight.baseAddress else { return }
          BLAS.sgemm(
            .no, .no, m: range.count, n: width, k: vocabulary, piece.scores, lda: vocabulary, weight, ldb: width,
            piece.upstream, ldc: width)
          RootMeanSquareNorm.backward(
            values + range.lowerBound * width, weight: head.norm, inverseRMS: piece.factors, upstream: piece.upstream,
            rows: range.count, width: width, addingTo: gradient, weightGradient: piece.unused)
        }
      }
    }
  }

  /// The buffers of one piece of work.
  private struct Piece {
    /// [rows, vocabulary].
    let scores: UnsafeMutablePointer<Float>
    let expected: UnsafeMutablePointer<Float>
    /// [rows, width].
    let normed: UnsafeMutablePointer<Float>
    let upstream: UnsafeMutablePointer<Float>
    /// [rows].
    let factors: UnsafeMutablePointer<Float>
    /// [vocabulary].
    let difference: UnsafeMutablePointer<Float>
    /// The norm's own gradient, which nobody wants: [width].
    let unused: UnsafeMutablePointer<Float>

    init(start: UnsafeMutablePointer<Float>, rows: Int, vocabulary: Int, width: Int) {
      scores = start
      expected = scores + rows * vocabulary
      normed = expected + rows * vocabulary
      upstream = normed + rows * width
      factors = upstream + rows * width
      difference = factors + rows
      unused = difference + vocabulary
      unused.update(repeating: 0, count: width)
    }
  }
}
