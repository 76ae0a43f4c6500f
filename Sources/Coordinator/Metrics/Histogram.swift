/// How often values lay below each of a few bounds.
package struct Histogram: Sendable, Equatable {
  /// Ascending; a last one at infinity is added.
  private let bounds: [Double]
  /// Of each bucket alone, the last without a bound.
  private var counts: [Int]
  package private(set) var sum = 0.0

  package init(bounds: [Double]) {
    self.bounds = bounds
    counts = [Int](repeating: 0, count: bounds.count + 1)
  }

  /// Seconds of tasks: from the quickest pass of a small model to a tune of a large one.
  package static let taskSeconds = Histogram(bounds: [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000])

  package var count: Int { counts.reduce(0, +) }

  package mutating func observe(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
  }

  /// For each bound, how many values were at most that, infinity included.
  package var cumulative: [(bound: Double, count: Int)] {
    var total = 0
    return zip(bounds + [.infinity], counts).map { bound, count in
      total += count
      return (bound, total)
    }
  }
}
