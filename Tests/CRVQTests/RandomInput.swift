import Numerics
import TestSupport

/// Random matrices for tests.
///
/// From ``TestRun/seed`` where what is expected holds for any input; failures say it. From a fixed seed where it is a matter of
/// statistics, or of rounding that grows with the input, and holds for most.
struct RandomInput {
  var stream: RandomStream

  init(seed: UInt64) { stream = RandomStream(seed: seed, key: "tests") }

  mutating func normals(_ count: Int) -> [Float] { (0..<count).map { _ in stream.normal() } }

  mutating func codes(_ count: Int, below bound: Int) -> [UInt16] {
    (0..<count).map { _ in UInt16(stream.index(below: bound)) }
  }

  mutating func weight(_ rows: Int, _ columns: Int) -> Matrix {
    Matrix(rows: rows, columns: columns, values: normals(rows * columns).map { 0.05 * $0 })
  }

  /// XᵀX / n of correlated channels, some of them loud.
  mutating func gram(_ columns: Int, samples: Int) -> Matrix {
    let loudness = (0..<columns).map { _ in stream.uniform() < 0.05 ? Float(8) : 0.3 + stream.uniform() }
    var gram = Matrix(rows: columns, columns: columns)
    for _ in 0..<samples {
      let common = stream.normal()
      let x = loudness.map { $0 * (0.5 * common + stream.normal()) }
      for i in 0..<columns {
        for j in 0..<columns { gram[i, j] += x[i] * x[j] / Float(samples) }
      }
    }
    return gram
  }
}
