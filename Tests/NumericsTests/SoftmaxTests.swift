import Foundation
import Numerics
import TestSupport
import Testing

@Suite struct SoftmaxTests {
  /// Counts around the widths of vector registers and of the unrolled loops.
  private static let counts = [1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 512, 1000]

  private static func values(_ count: Int) -> [Float] {
    var random = RandomStream(seed: 11, key: "softmax \(count)")
    return (0..<count).map { _ in 5 * random.normal() }
  }

  @Test func exponentialIsWithinItsRelativeErrorOverTheWholeRange() {
    let step: Float = 0.000_731
    var values = stride(from: Float(-87.29), through: 87.99, by: step).map { $0 }
    let inputs = values
    _ = Softmax.exponentialShifted(&values, count: values.count, shift: 0)
    let ratios = inputs.indices.map { Double(values[$0]) / exp(Double(inputs[$0])) }
    #expect(worstDifference(ratios, [Double](repeating: 1, count: inputs.count)) < 1.2e-7)
  }

  @Test func exponentialOfExtremes() {
    var values: [Float] = [0, -0, -87.5, -1000, -.infinity, 88.5, .infinity, .nan]
    _ = Softmax.exponentialShifted(&values, count: values.count, shift: 0)
    #expect(values[0] == 1 && values[1] == 1)
    #expect(values[2] == 0 && values[3] == 0 && values[4] == 0)
    #expect(values[5].isFinite && values[5] == values[6])
    #expect(values[7].isNaN)
  }

  @Test(arguments: counts) func maximumIsTheLargest(count: Int) {
    for place in Set([0, count / 2, count - 1]) {
      var values = Self.values(count).map { -abs($0) }
      values[place] = 3
      #expect(Softmax.maximum(values, count: count) == 3, "at \(place)")
    }
  }

  @Test(arguments: counts) func sumsAreThoseOfTheNaiveLoop(count: Int) {
    var values = Self.values(count)
    let expected = values.map { exp(Double($0) - 2.5) }
    let total = expected.reduce(0, +)
    let sum = Softmax.sumOfExponentials(values, count: count, shift: 2.5)
    #expect(abs(Double(sum) - total) < 1e-6 * total)
    let same = Softmax.exponentialShifted(&values, count: count, shift: 2.5)
    #expect(abs(Double(same) - total) < 1e-6 * total)
    for (value, expected) in zip(values, expected) { #expect(abs(Double(value) - expected) <= 1e-6 * expected) }
  }

  @Test func scalingMultipliesAll() {
    var values: [Float] = (0..<37).map { Float($0) }
    Softmax.scale(&values, count: 37, by: -0.5)
    #expect(values == (0..<37).map { -0.5 * Float($0) })
  }
}
