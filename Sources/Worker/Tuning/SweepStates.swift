import Messaging
import Numerics
import Synchronization
import Transformer

/// What the blocks of a tuning sweep see, on the sequences of all micro-batches: the stream of the model packed so far, and
/// beside it the original's, which is what each block is tuned towards.
///
/// A worker keeps both from one block to the next, and is given the next block for that reason. Where they are lost they are
/// made again from the tokens. Memory: 2 · tokens · hiddenSize floats.
final class SweepStates: Sendable {
  /// Both streams in front of a block, named as in ``HiddenStream``.
  struct Streams: Sendable {
    var original: HiddenStates
    var packed: HiddenStates
  }

  private struct Entry {
    let block: Int
    /// The packed blocks the packed stream came through.
    let packed: [Digest]
    let streams: Streams
  }

  private let last = Mutex<Entry?>(nil)

  /// The streams in front of a block; the caller owns them, and gives them back advanced.
  func take(block: Int, _ sequences: Range<Int>, _ environment: TaskEnvironment) throws -> Streams {
    let packed = Self.digests(below: block, environment.inputs)
    let entry = last.withLock { entry in
      defer { entry = nil }
      return entry
    }
    if let entry, entry.block == block, entry.packed == packed { return entry.streams }
    return try make(block: block, sequences, environment)
  }

  /// Keeps the streams in front of the block after `block`, which was packed as `artifact`.
  func keep(_ streams: Streams, after block: Int, packedAs artifact: Digest, _ environment: TaskEnvironment) {
    let packed = Self.digests(below: block, environment.inputs) + [artifact]
    last.withLock { $0 = Entry(block: block + 1, packed: packed, streams: streams) }
  }

  private static func digests(below block: Int, _ inputs: TaskInputs) -> [Digest] {
    inputs.packedBlocks.filter { $0.index < block }.compactMap { $0.ref.artifact?.digest }
  }

  private func make(block: Int, _ sequences: Range<Int>, _ environment: TaskEnvironment) throws -> Streams {
    let job = environment.job
    let embedded = try job.model.embed(tokens: job.tokens(of: sequences), from: job.original)
    var streams = Streams(original: embedded, packed: embedded)
    for before in 0..<block {
      try environment.control.progress("streams of block \(before)")
      try environment.blocks.packed(before, environment.inputs, team: environment.team)
        .forward(&streams.packed, team: environment.team)
      try environment.control.progress("streams of block \(before)")
      try environment.blocks.original(before).forward(&streams.original, team: environment.team)
    }
    return streams
  }
}
