import Numerics

/// The weight that a linear should have to make up for what the packed model lost before it: W + L · (H + λ · diag H)⁻¹, least
/// squares of the block's output over the linear's weight, its inputs as they are in the packed block.
///
/// The ridge λ keeps what the tokens hardly show from being fitted to noise. How much noise there is no rule tells: what is lost
/// is mostly beyond the linear's reach in one block and within it in another. So λ is the one that serves a part of the
/// tokens best when solved without them, and if none serves them, nothing is repaired.
///
/// - Parameters:
///   - weight: W [out, in].
///   - whole: What was seen and lost.
///   - part: The same over some of the whole's tokens, about a quarter, on which λ is judged; nil if they cannot be told
///     apart, then λ follows from their number.
/// - Returns: [out, in]; W itself where nothing can be repaired, or only by values too large for a fit.
public func repairedWeight(
  _ weight: Matrix, from whole: RepairSums, judgedOn part: RepairSums?, team: ThreadTeam
) -> Matrix {
  precondition(whole.loss.rows == weight.rows && whole.loss.columns == weight.columns, "a loss of the weight's shape")
  let ridge = part.map { Ridge.best(for: whole, judgedOn: $0, team: team) } ?? Ridge.unjudged(whole)
  guard let ridge, let change = whole.change(ridge: ridge, team: team) else { return weight }
  let repaired = Matrix(
    rows: weight.rows, columns: weight.columns, values: zip(weight.values, change.values).map { $0 + $1 })
  // Of a weight that is too large no fit is made, and the model would be blamed.
  do { try Problem.check(repaired, whole.gram) } catch { return weight }
  return repaired
}

private enum Ridge {
  /// Half powers of ten. The gain has one maximum over λ, and these are near enough to one another: it is flat there.
  static let candidates: [Float] = [0.01, 0.03, 0.1, 0.3, 1, 3, 10]
  static let first = 3

  /// With n tokens for as many unknowns a row as there are channels, the noise of L grows with in / n; the factor is what
  /// judged ridges come to.
  static func unjudged(_ whole: RepairSums) -> Float { 0.03 + 10 * Float(whole.gram.columns) / Float(whole.tokens) }

  /// Climbs from the middle. Solved on all tokens, λ is as much smaller as there are more of them.
  static func best(for whole: RepairSums, judgedOn part: RepairSums, team: ThreadTeam) -> Float? {
    let rest = whole.without(part)
    func gain(_ index: Int) -> Double {
      rest.change(ridge: candidates[index], team: team).map { part.gain(of: $0, team: team) } ?? -.infinity
    }
    var best = (index: first, gain: gain(first))
    for step in [1, -1] {
      while candidates.indices.contains(best.index + step) {
        let next = gain(best.index + step)
        if next <= best.gain { break }
        best = (best.index + step, next)
      }
      if best.index != first { break }
    }
    return best.gain > 0 ? candidates[best.index] * Float(rest.tokens) / Float(whole.tokens) : nil
  }
}
