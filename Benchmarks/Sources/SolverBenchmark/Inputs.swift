import Checkpoint
import Foundation
import Numerics

/// A weight and its Gram matrix.
struct Input {
  let name: String
  let weight: Matrix
  let gram: Matrix

  /// Random weights and a Gram matrix as activations have it: 256 directions of decaying strength, a floor, loudness that
  /// varies from channel to channel, and a few outlier channels.
  static func synthetic(_ name: String, rows: Int, columns: Int, team: ThreadTeam) -> Input {
    let directions = 256
    var stream = RandomStream(seed: 1, key: name)
    let weight = Matrix(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in 0.02 * stream.normal() })
    var factors = [Float](repeating: 0, count: columns * directions)
    var floor = [Float](repeating: 0, count: columns)
    for c in 0..<columns {
      let loudness = stream.uniform() < 0.003 ? 20 + 30 * stream.uniform() : exp(0.5 * stream.normal())
      for k in 0..<directions { factors[c * directions + k] = loudness * stream.normal() / Float(k + 1).squareRoot() }
      floor[c] = loudness * loudness * 0.5
    }
    var gram = Matrix(rows: columns, columns: columns)
    gram.values.withUnsafeMutableBufferPointer { h in
      factors.withUnsafeBufferPointer { a in
        guard let h = h.baseAddress, let a = a.baseAddress else { return }
        nonisolated(unsafe) let (x, y) = (h, a)
        team.forEachRange(columns, grain: 128) { range in
          let at = range.lowerBound
          BLAS.sgemm(
            .no, .yes, m: range.count, n: columns, k: directions, y + at * directions, lda: directions, y,
            ldb: directions, x + at * columns, ldc: columns)
        }
      }
    }
    for c in 0..<columns { gram[c, c] += floor[c] }
    return Input(name: name, weight: weight, gram: gram)
  }

  static func reference(_ published: Published, in file: SafetensorsFile) throws -> Input {
    func matrix(_ name: String) throws -> Matrix {
      guard let shape = file.shape(of: name), shape.count == 2 else {
        throw CheckpointError(.missing, path: file.path, "no matrix \(name)")
      }
      return Matrix(rows: shape[0], columns: shape[1], values: try file.floats(name))
    }
    return Input(
      name: published.linear, weight: try matrix("weight.\(published.linear)"),
      gram: try matrix("gram.\(published.site)"))
  }
}
