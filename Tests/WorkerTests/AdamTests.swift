import TestSupport
import Testing
import Worker

/// A tuned tensor's steps beside numbers worked out by hand.
@Suite struct AdamTests {
  /// Decays of 0.9 and 0.95, a rate of 0.1 times √5, the root mean square of 3 and -1:
  ///
  ///     gradient   mean    mean square   over 1-0.9ⁿ   over 1-0.95ⁿ   strength   value
  ///        2       0.2     0.2           2             4              1          3 - 0.2236068 · 2/2
  ///       -1       0.08    0.24          0.4210526     2.4615385      1          2.7763932 - 0.2236068 · 0.2683694
  ///        0.5     0.122   0.2405        0.4501845     1.6862401      0.5        2.7163840 - 0.1118034 · 0.3466816
  @Test func threeStepsWithBiasCorrection() {
    let options = TuneOptions(epochs: 1)
    #expect(options.firstDecay == 0.9 && options.secondDecay == 0.95)
    var vector = TunedVector([3, -1], relativeRate: 0.1)
    var seen: [[Float]] = []
    let steps: [(slope: Float, strength: Float)] = [(2, 1), (-1, 1), (0.5, 0.5)]
    for (index, step) in steps.enumerated() {
      vector.gradient[0] = step.slope
      vector.descend(step: index + 1, strength: step.strength, options)
      seen.append(vector.values + [vector.mean[0], vector.meanSquare[0]])
      #expect(vector.gradient == [0, 0])
    }
    // What has no gradient stays where it is.
    let expected: [[Float]] = [
      [2.7763932, -1, 0.2, 0.2], [2.7163840, -1, 0.08, 0.24], [2.6776238, -1, 0.122, 0.2405],
    ]
    #expect(worstDifference(seen.flatMap { $0 }, expected.flatMap { $0 }) < 2e-6)
  }

  /// With three steps of warming up the n-th has n/4 of its strength, at most all of it; of eight steps the n-th has
  /// (1 + cos(π(n-1)/8))/2.
  @Test func strengthRisesAndFallsAlongACosine() {
    var schedule = TuneSchedule(steps: 8, warmUp: 3)
    let strengths = (1...9).map { _ in
      schedule.advance()
      return schedule.strength
    }
    let expected: [Float] = [0.25, 0.480970, 0.640165, 0.691342, 0.5, 0.308658, 0.146447, 0.038060, 0]
    #expect(worstDifference(strengths, expected) < 1e-6)
    schedule.advance(to: 4)
    #expect(schedule.step == 4 && schedule.strength == strengths[3])
  }
}
