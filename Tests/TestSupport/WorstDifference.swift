import Testing

/// The largest distance between numbers that should be the same.
///
/// Infinite where a distance is not finite, which a maximum alone would pass over, and where there are not as many of one as of
/// the other, which is recorded as an issue.
public func worstDifference<Got: BinaryFloatingPoint, Expected: BinaryFloatingPoint>(
  _ got: [Got], _ expected: [Expected], sourceLocation: SourceLocation = #_sourceLocation
) -> Double {
  guard got.count == expected.count else {
    Issue.record("\(got.count) numbers, expected \(expected.count)", sourceLocation: sourceLocation)
    return .infinity
  }
  var worst = 0.0
  for (got, expected) in zip(got, expected) {
    let distance = abs(Double(got) - Double(expected))
    if !distance.isFinite { return .infinity }
    worst = max(worst, distance)
  }
  return worst
}
