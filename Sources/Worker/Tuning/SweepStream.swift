import Messaging
import Numerics
import Synchronization
import Transformer

/// What the blocks of a tuning sweep see, on the sequences of all micro-batches: the stream of the model packed so far.
///
/// A worker keeps it from one block to the next, and is given the next block for that reason. Where it is lost it is made
/// again from the tokens. Memory: tokens · hiddenSize floats.
final class SweepStream: Sendable {
  private struct Entry {
    let block: Int
    /// The packed blocks the stream came through.
    let packed: [Digest]
    let stream: HiddenStates
  }

  private let last = Mutex<Entry?>(nil)

  /// The stream in front of a block; the caller owns it, and gives it back advanced.
  func take(block: Int, _ sequences: Range<Int>, _ environment: TaskEnvironment) throws -> HiddenStates {
    let packed = Self.digests(below: block, environment.inputs)
    let entry = last.withLock { entry in
      defer { entry = nil }
      return entry
    }
    if let entry, entry.block == block, entry.packed == packed { return entry.stream }
    return try environment.hiddenStates.made(.packed, of: environment.job.tokens(of: sequences), before: block)
  }

  /// Keeps the stream in front of the block after `block`, which was packed as `artifact`.
  func keep(_ stream: HiddenStates, after block: Int, packedAs artifact: Digest, _ environment: TaskEnvironment) {
    let packed = Self.digests(below: block, environment.inputs) + [artifact]
    last.withLock { $0 = Entry(block: block + 1, packed: packed, stream: stream) }
  }

  private static func digests(below block: Int, _ inputs: TaskInputs) -> [Digest] {
    inputs.packedBlocks.filter { $0.index < block }.compactMap { $0.ref.artifact?.digest }
  }
}
