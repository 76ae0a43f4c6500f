import Numerics
import TestSupport
import Testing

/// Known answers: the bytes of a job depend on these streams, on every machine and in every release.
///
/// Computed apart from the implementation, in Python, by steps that give the published values of FNV-1a, SplitMix64 and
/// xoshiro256**.
@Suite struct RandomStreamTests {
  private var stream: RandomStream { RandomStream(seed: 7, key: "known answer") }

  @Test func theFirstNumbersAreKnown() {
    let expected: [UInt64] = [
      0xb42e_6581_0a74_019c, 0xadb7_e914_7425_97c5, 0x3a1d_b013_0066_8ca4, 0x4634_3bd9_00e8_f5ba,
      0x63ae_154b_b3b6_e768, 0x3f65_48e6_689f_c315, 0xbc96_aac6_c9a5_388a, 0x1ae3_12c8_4bb1_bfca,
    ]
    var stream = stream
    let got = expected.map { _ in stream.next() }
    #expect(got == expected)
    let ofNoKey: [UInt64] = [0x2138_2ef0_92ed_7068, 0x5b54_c052_757a_df62]
    var unnamed = RandomStream(seed: 0)
    let first = ofNoKey.map { _ in unnamed.next() }
    #expect(first == ofNoKey)
  }

  @Test func whatIsMadeOfThemIsKnown() {
    var (uniform, normal, index, order) = (stream, stream, stream, stream)
    let shares = ([11_808_357, 11_384_809, 3_808_688, 4_600_891] as [Float]).map { $0 * 0x1p-24 }
    let gotShares = shares.map { _ in uniform.uniform() }
    #expect(gotShares == shares)
    // The logarithm and the cosine may differ in their last bit from one machine to another.
    let normals = [-0.676_725_504, -0.108_851_489, 0.014_732_801, 1.290_643_635]
    let gotNormals = normals.map { _ in normal.normal() }
    #expect(worstDifference(gotNormals, normals) < 1e-6)
    let indices = [703, 678, 227, 274, 389, 247, 736, 105]
    let gotIndices = indices.map { _ in index.index(below: 1000) }
    #expect(gotIndices == indices)
    #expect(order.shuffled(Array(0..<10)) == [3, 4, 0, 5, 8, 2, 9, 1, 6, 7])
  }

  @Test func samplesAreKnownAndDrawOnceForEachIndex() {
    let samples: [(wanted: Int, count: Int, expected: [Int], next: UInt64)] = [
      (4, 20, [5, 7, 14, 16], 0x0cf3_7627_6f51_d51f), (9, 10, [0, 1, 2, 3, 4, 5, 6, 7, 9], 0x3737_a676_f57c_a967),
      (1, 1000, [659], 0x3b0a_ce19_fd6d_3f34),
    ]
    for (wanted, count, expected, next) in samples {
      var stream = stream
      let (got, following) = (stream.sample(wanted, of: count), stream.next())
      #expect(got == expected && following == next, "\(wanted) of \(count)")
    }
  }

  @Test func aSampleIsInOrderAndAsLargeAsItCanBe() {
    var stream = RandomStream(seed: TestRun.seed, key: "samples")
    for (wanted, count) in [(0, 0), (0, 5), (1, 1), (1, 7), (6, 7), (7, 7), (9, 7), (100, 1000)] {
      for _ in 0..<20 {
        let before = stream
        let sample = stream.sample(wanted, of: count)
        #expect(sample.count == min(wanted, count), "\(TestRun.seedSetting)")
        #expect(zip(sample, sample.dropFirst()).allSatisfy { $0 < $1 }, "\(TestRun.seedSetting)")
        #expect(sample.allSatisfy { (0..<count).contains($0) }, "\(TestRun.seedSetting)")
        // Where all are taken nothing is drawn.
        var (now, then) = (stream, before)
        let drewNothing = now.next() == then.next()
        #expect(drewNothing == (count <= wanted), "\(TestRun.seedSetting)")
      }
    }
  }

  /// Three of ten, 10,000 times: each about 3,000 times, with a standard deviation of 46.
  @Test func everyIndexIsAsLikelyAsAnyOther() {
    var stream = stream
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<10_000 { for index in stream.sample(3, of: 10) { counts[index] += 1 } }
    #expect(counts.allSatisfy { abs($0 - 3000) < 200 }, "\(counts)")
  }
}
