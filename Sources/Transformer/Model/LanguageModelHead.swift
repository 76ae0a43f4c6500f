import Foundation
import Numerics

/// The end of a language model: the final norm and the matrix that scores every token of the vocabulary.
public struct LanguageModelHead: Sendable {
  /// [hidden].
  public let norm: [Float]
  public let normEpsilon: Float
  /// [vocabulary, hidden].
  public let weight: Matrix

  /// Tokens of the vocabulary whose scores are in memory at a time, for each piece of rows.
  private static let vocabularyTile = 2048

  /// - Parameters:
  ///   - norm: as many values as `weight` has columns.
  ///   - weight: [vocabulary, hidden].
  public init(norm: [Float], normEpsilon: Float, weight: Matrix) {
    precondition(norm.count == weight.columns, "the norm has one value a channel")
    self.norm = norm
    self.normEpsilon = normEpsilon
    self.weight = weight
  }

  private var width: Int { weight.columns }
  private var vocabularySize: Int { weight.rows }

  /// The scores of every token at every position, [sequences × length, vocabulary]. For tests and short inputs: the memory
  /// is that of the result.
  ///
  /// - Throws: ``TransformerError`` if the width is not the head's.
  package func logits(_ hidden: HiddenStates, team: ThreadTeam) throws -> Matrix {
    try check(hidden)
    var result = Matrix(rows: hidden.rows, columns: vocabularySize)
    result.values.withUnsafeMutableBufferPointer { logits in
      guard let start = logits.baseAddress else { return }
      forEachPiece(of: hidden, scratchPerRow: 0, team: team) { row, _, count, normed, _ in
        score(normed, rows: count, tokens: 0..<vocabularySize, into: start + row * vocabularySize)
      }
    }
    return result
  }

  /// The negative log-likelihood of each target, in nats: ln Σ exp(logits) − logit of the target.
  ///
  /// - Parameters:
  ///   - hidden: the output of the last block, [sequences, length, hidden].
  ///   - targets: for each sequence the tokens at positions 1…, at most `length` of them; position p predicts `targets[p]`.
  /// - Returns: A value for each target.
  /// - Throws: ``TransformerError`` if a size does not fit or a target lies outside the vocabulary.
  public func negativeLogLikelihood(
    _ hidden: HiddenStates, targets: [[Int32]], team: ThreadTeam
  ) throws -> [[Double]] {
    try check(hidden)
    try check(targets, against: hidden)
    var losses = [Double](repeating: 0, count: hidden.rows)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      forEachPiece(of: hidden, scratchPerRow: Self.vocabularyTile, team: team) { row, position, count, normed, scores in
        let tokens = targets[row / hidden.length].dropFirst(position).prefix(count)
        if tokens.isEmpty { return }
        let piece = UnsafeMutableBufferPointer(rebasing: losses[row..<row + tokens.count])
        loss(normed, targets: Array(tokens), scores: scores, into: piece)
      }
    }
    return targets.indices.map { sequence in
      let start = sequence * hidden.length
      return Array(losses[start..<start + targets[sequence].count])
    }
  }

  /// A running ln Σ exp a row over tiles of the vocabulary; tiles are summed in single, the total in double precision.
  private func loss(
    _ normed: UnsafePointer<Float>, targets: [Int32], scores: UnsafeMutablePointer<Float>,
    into losses: UnsafeMutableBufferPointer<Double>
  ) {
    var maxima = [Float](repeating: -.infinity, count: targets.count)
    var totals = [Double](repeating: 0, count: targets.count)
    var targetScores = [Float](repeating: 0, count: targets.count)
    for first in stride(from: 0, to: vocabularySize, by: Self.vocabularyTile) {
      let tokens = first..<min(vocabularySize, first + Self.vocabularyTile)
      score(normed, rows: targets.count, tokens: tokens, into: scores)
      for row in targets.indices {
        let rowScores = scores + row * tokens.count
        let maximum = max(maxima[row], Softmax.maximum(rowScores, count: tokens.count))
        let sum = Softmax.sumOfExponentials(rowScores, count: tokens.count, shift: maximum)
        if maxima[row] < maximum {
          totals[row] *= Double(exp(maxima[row] - maximum))
          maxima[row] = maximum
        }
        totals[row] += Double(sum)
        let target = Int(targets[row])
        if tokens.contains(target) { targetScores[row] = rowScores[target - first] }
      }
    }
    for row in targets.indices {
      losses[row] = Double(maxima[row]) + log(totals[row]) - Double(targetScores[row])
    }
  }

  /// scores [rows, tokens] ← normed [rows, hidden] · the tokens' rows of the head.
  func score(
    _ normed: UnsafePointer<Float>, rows: Int, tokens: Range<Int>, into scores: UnsafeMutablePointer<Float>
  ) {
    weight.values.withUnsafeBufferPointer { weights in
      guard let weights = weights.baseAddress else { return }
      BLAS.sgemm(
        .no, .yes, m: rows, n: tokens.count, k: width, normed, lda: width, weights + tokens.lowerBound * width,
        ldb: width, scores, ldc: tokens.count)
    }
  }

  /// Normalises fixed pieces of rows and hands them out: first row, first position, count, normed rows, scratch.
  private func forEachPiece(
    of hidden: HiddenStates, scratchPerRow: Int, team: ThreadTeam,
    _ body: (Int, Int, Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let pieces = RowPieces(sequences: hidden.sequences, length: hidden.length)
    let pool = Pool(count: RowPieces.positionsMax * (width + scratchPerRow))
    hidden.values.withUnsafeBufferPointer { values in
      guard let values = values.baseAddress else { return }
      team.forEach(pieces.count) { index in
        let (row, position, count) = pieces[index]
        pool.withBuffer { scratch in
          RootMeanSquareNorm.forward(
            values + row * width, weight: norm, epsilon: normEpsilon, rows: count, width: width, into: scratch)
          body(row, position, count, scratch, scratch + RowPieces.positionsMax * width)
        }
      }
    }
  }

  func check(_ hidden: HiddenStates) throws {
    guard hidden.width == width else {
      throw TransformerError(.invalidInput, "head: expected hidden states of width \(width), got \(hidden.width)")
    }
  }

  private func check(_ targets: [[Int32]], against hidden: HiddenStates) throws {
    guard targets.count == hidden.sequences else {
      throw TransformerError(
        .invalidInput, "targets: expected those of \(hidden.sequences) sequences, got \(targets.count)")
    }
    for (sequence, tokens) in targets.enumerated() {
      guard tokens.count <= hidden.length else {
        throw TransformerError(
          .invalidInput,
          "targets: sequence \(sequence): expected at most \(hidden.length), got \(tokens.count)")
      }
      if let position = tokens.firstIndex(where: { $0 < 0 || $0 >= vocabularySize }) {
        throw TransformerError(
          .invalidInput,
          "targets: sequence \(sequence), position \(position): expected an id from 0 to \(vocabularySize - 1), "
            + "got \(tokens[position])")
      }
    }
  }
}
