import Foundation
import Numerics
import Testing

/// The element-wise kernels of a decoder against plain loops.
@Suite struct DecoderKernelTests {
  private static func values(_ count: Int, _ key: String) -> [Float] {
    var random = RandomStream(seed: 12, key: key)
    return (0..<count).map { _ in random.normal() }
  }

  @Test(arguments: [1, 3, 16, 33, 576]) func normDividesByRootMeanSquare(width: Int) {
    let rows = 3
    let x = Self.values(rows * width, "x \(width)")
    let weight = Self.values(width, "weight \(width)")
    var y = [Float](repeating: .nan, count: rows * width)
    var factors = [Float](repeating: .nan, count: rows)
    RootMeanSquareNorm.forward(
      x, weight: weight, epsilon: 0.01, rows: rows, width: width, into: &y, inverseRMS: &factors)
    for row in 0..<rows {
      let squares = (0..<width).reduce(0.0) { $0 + Double(x[row * width + $1]) * Double(x[row * width + $1]) }
      let factor = 1 / (squares / Double(width) + 0.01).squareRoot()
      #expect(abs(Double(factors[row]) - factor) < 1e-6 * factor)
      for column in 0..<width {
        let expected = Double(x[row * width + column]) * factor * Double(weight[column])
        #expect(abs(Double(y[row * width + column]) - expected) < 2e-6 * (1 + abs(expected)))
      }
    }
  }

  @Test(arguments: [1, 3, 8, 21, 32]) func rotationTurnsPairsHalfAHeadApart(half: Int) {
    let (rows, heads, stride) = (3, 2, 4 * half + 5)
    let before = Self.values(rows * stride, "rotation \(half)")
    let angles = Self.values(rows * half, "angles \(half)")
    var after = before
    Rotation.apply(
      &after, rows: rows, stride: stride, heads: heads, half: half, cosine: angles.map { cos($0) },
      sine: angles.map { sin($0) })
    var expected = before
    for row in 0..<rows {
      for head in 0..<heads {
        for pair in 0..<half {
          let low = row * stride + head * 2 * half + pair
          let (c, s) = (cos(angles[row * half + pair]), sin(angles[row * half + pair]))
          expected[low] = before[low] * c - before[low + half] * s
          expected[low + half] = before[low + half] * c + before[low] * s
        }
      }
    }
    for (got, expected) in zip(after, expected) { #expect(abs(got - expected) < 1e-6) }
  }

  @Test(arguments: [1, 15, 16, 17, 100]) func gateIsSiluTimesUp(count: Int) {
    var gate = Self.values(count, "gate \(count)").map { 20 * $0 }
    gate[0] = -200
    let up = Self.values(count, "up \(count)")
    let expected = zip(gate, up).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
    SwiGLU.forward(gate: &gate, up: up, count: count)
    for (got, expected) in zip(gate, expected) { #expect(abs(Double(got) - expected) < 1e-6 * (1 + abs(expected))) }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity]) func theFirstNonFiniteValueIsFound(bad: Float) {
    #expect(Finite.firstNonFinite([]) == nil)
    let values = [Float](repeating: .greatestFiniteMagnitude, count: 3000)
    #expect(Finite.firstNonFinite(values) == nil)
    for place in [0, 1, 1023, 1024, 2047, 2999] {
      var spoiled = values
      spoiled[place] = bad
      spoiled[2999] = bad
      #expect(Finite.firstNonFinite(spoiled) == place)
    }
  }

  @Test func scratchBuffersAreLentToOneAtATime() {
    let pool = Pool(count: 10)
    let team = ThreadTeam(threads: 4)
    let rounds = 200
    nonisolated(unsafe) var intact = [Bool](repeating: false, count: rounds)
    intact.withUnsafeMutableBufferPointer { intact in
      nonisolated(unsafe) let intact = intact
      team.forEach(rounds) { index in
        pool.withBuffer { buffer in
          buffer.update(repeating: Float(index), count: 10)
          intact[index] = (0..<10).allSatisfy { buffer[$0] == Float(index) }
        }
      }
    }
    #expect(intact.allSatisfy { $0 })
  }
}
