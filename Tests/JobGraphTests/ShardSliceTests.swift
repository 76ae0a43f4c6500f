import JobGraph
import Testing

@Suite struct ShardSliceTests {
  @Test(arguments: [(64, 8, 16), (3, 1, 2), (2, 1, 2), (100, 30, 512)])
  func whatIsSlicedIsKnownAsThat(sequences: Int, heldOut: Int, count: Int) {
    let shards = JobPlan.slice(sequences: sequences, heldOut: heldOut, count: count)
    #expect(JobPlan.areSlices(shards, of: sequences))
    #expect(JobPlan.areSlices(shards, of: sequences + 1))
    #expect(!JobPlan.areSlices(shards, of: sequences - 1))
    #expect(!JobPlan.areSlices(Array(shards.dropFirst()), of: sequences))
    #expect(!JobPlan.areSlices(shards.reversed(), of: sequences))
  }

  /// Of what only a peer that is damaged or means harm would say.
  @Test(arguments: [
    [], [(0, 0)], [(0, 1), (0, 1)], [(0, 2), (1, 1)], [(0, 1), (1, 0), (1, 1)], [(0, Int(UInt32.max)), (0, 1)],
    [(-1, 2)], [(0, .max), (.max, .max)],
  ])
  func othersAreNot(pairs: [(Int, Int)]) {
    let shards = pairs.map { JobPlan.Shard(firstSequence: $0.0, sequenceCount: $0.1, isHeldOut: false) }
    #expect(!JobPlan.areSlices(shards, of: 4))
  }
}
