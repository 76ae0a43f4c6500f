import Numerics
import Transformer

/// What a tune brings down: the squared error of the block's output as a share of what it should be, position by position,
/// and the mean of that over positions.
///
///     loss = mean over positions of ‖y - t‖² / ‖t‖²
///
/// Every position counts alike. In the plain mean squared error of a residual stream the few positions that carry massive
/// activations (the first of a sequence, separators) outweigh all others, yet what reads the stream begins with a norm.
package struct BlockLoss {
  let target: HiddenStates

  package init(target: HiddenStates) { self.target = target }

  /// Rows of one piece of parallel work.
  private static let grain = 64

  /// - Returns: The sum over positions; not finite if an output is not.
  package func sum(_ output: HiddenStates, team: ThreadTeam) -> Double {
    reduce(output, team: team) { _, _, _ in }
  }

  /// - Parameters:
  ///   - scale: what the gradient of each position's loss is multiplied by.
  /// - Returns: The sum over positions and its gradient by the output, scaled.
  package func gradient(
    _ output: HiddenStates, scale: Float, team: ThreadTeam
  ) -> (sum: Double, gradient: HiddenStates) {
    var gradient = output
    let width = target.width
    let sum = gradient.values.withUnsafeMutableBufferPointer { slopes in
      nonisolated(unsafe) let slopes = slopes
      return target.values.withUnsafeBufferPointer { target in
        reduce(output, team: team) { row, energy, values in
          let factor = 2 * scale / energy
          for index in 0..<width {
            slopes[row * width + index] = factor * (values[row * width + index] - target[row * width + index])
          }
        }
      }
    }
    return (sum, gradient)
  }

  /// Sums the loss over rows in order and calls `visit` with each row and the energy of its target.
  private func reduce(
    _ output: HiddenStates, team: ThreadTeam, visit: (Int, Float, UnsafeBufferPointer<Float>) -> Void
  ) -> Double {
    let (rows, width) = (target.rows, target.width)
    var losses = [Double](repeating: 0, count: rows)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      output.values.withUnsafeBufferPointer { values in
        target.values.withUnsafeBufferPointer { target in
          team.forEachRange(rows, grain: Self.grain) { range in
            for row in range {
              var (lost, energy) = (Float(0), Float.leastNormalMagnitude)
              for index in row * width..<(row + 1) * width {
                let difference = values[index] - target[index]
                lost += difference * difference
                energy += target[index] * target[index]
              }
              losses[row] = Double(lost) / Double(energy)
              visit(row, energy, values)
            }
          }
        }
      }
    }
    return losses.reduce(0, +)
  }
}
