import Numerics

/// A tensor that is being tuned, with Adam's state (Kingma and Ba, arXiv 1412.6980).
package struct TunedVector: Sendable {
  package private(set) var values: [Float]
  /// The sum over the micro-batches since the last step.
  package var gradient: [Float]

  /// The rate at full strength: a share of the root mean square of the first values.
  private let rate: Float
  /// Adam's running means of gradients and of their squares.
  package private(set) var mean: [Float]
  package private(set) var meanSquare: [Float]

  /// - Parameters:
  ///   - relativeRate: the size of a step as a share of the values' root mean square.
  ///   - mean: Adam's, as earlier steps left it; nil before the first.
  ///   - meanSquare: the same.
  package init(_ values: [Float], relativeRate: Float, mean: [Float]? = nil, meanSquare: [Float]? = nil) {
    self.values = values
    gradient = [Float](repeating: 0, count: values.count)
    self.mean = mean ?? gradient
    self.meanSquare = meanSquare ?? gradient
    let energy = values.reduce(0.0) { $0 + Double($1) * Double($1) }
    rate = relativeRate * Float((energy / Double(max(1, values.count))).squareRoot())
  }

  /// Other values of the same number in place of those there are.
  mutating func replace(_ values: some Collection<Float>) {
    precondition(values.count == self.values.count, "a tensor keeps its size")
    self.values = Array(values)
  }

  /// One step down the gradient, which is then zero.
  ///
  /// - Parameters:
  ///   - step: counts from 1.
  ///   - strength: the schedule's share of the rate.
  package mutating func descend(step: Int, strength: Float, _ options: TuneOptions) {
    let (first, second) = (options.firstDecay, options.secondDecay)
    let firstShare = 1 - Self.power(first, step)
    let secondShare = 1 - Self.power(second, step)
    let size = rate * strength / firstShare
    for index in values.indices {
      let slope = gradient[index]
      mean[index] = first * mean[index] + (1 - first) * slope
      meanSquare[index] = second * meanSquare[index] + (1 - second) * slope * slope
      let deviation = (meanSquare[index] / secondShare).squareRoot()
      // A codeword that no code names has no gradient and stays where it is.
      if deviation > 0 { values[index] -= size * mean[index] / deviation }
      gradient[index] = 0
    }
  }

  /// Repeated multiplication: the same bits on every machine, unlike the C library's pow.
  private static func power(_ base: Float, _ exponent: Int) -> Float {
    // Beyond this the power is nothing beside 1.
    (0..<min(exponent, 1000)).reduce(Float(1)) { power, _ in power * base }
  }

  /// The values as binary16 bits, as they are stored.
  package var rounded: [UInt16] { Half.narrow(values) }
}
