import JobGraph
import Numerics

extension MicroBatches {
  /// The training batches in an order of their own for each epoch.
  package func shuffled(epoch: Int, seed: UInt64) -> [Range<Int>] {
    var random = RandomStream(seed: seed, key: "epoch \(epoch)")
    return random.shuffled(training)
  }
}
