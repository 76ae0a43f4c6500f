import Foundation
import JobGraph
import Messaging
import Numerics
import Transformer

/// A shard's hidden states in front of a block: from this worker's cache, from the worker that has it, or made again from the tokens.
struct HiddenStateSource {
  let job: JobContext
  let inputs: TaskInputs
  let blocks: BlockSource
  let team: ThreadTeam
  let control: TaskControl

  /// - Throws: ``TaskError`` if cancelled; errors of reading model and tokens. Hidden states that cannot be fetched are
  ///   made again, not an error.
  func hidden(_ stream: HiddenStream, block: Int, shard: Int) throws -> HiddenStates {
    if let found = try stored(stream, block: block, shard: shard) { return found }
    if block > 0, let before = try stored(stream, block: block - 1, shard: shard) {
      return try advance(before, stream, through: block - 1..<block)
    }
    let embedded = try job.model.embed(tokens: job.tokens(ofShard: shard), from: job.original)
    return try advance(embedded, stream, through: 0..<block)
  }

  private func stored(_ stream: HiddenStream, block: Int, shard: Int) throws -> HiddenStates? {
    guard let input = inputs.find(ArtifactRef.hiddenName(stream, block), index: shard) else { return nil }
    do {
      let found = try HiddenStates(inputs.fetch(input), in: inputs.store)
      let sizes = (job.plan.shards[shard].sequenceCount, job.tokens.length, job.model.shape.hiddenSize)
      return (found.sequences, found.length, found.width) == sizes ? found : nil
    } catch let error as TaskError where error == .cancelled {
      throw error
    } catch {
      // Its holder is gone or cannot be reached. The tokens are always there.
      return nil
    }
  }

  private func advance(
    _ hidden: HiddenStates, _ stream: HiddenStream, through range: Range<Int>
  ) throws -> HiddenStates {
    var hidden = hidden
    for block in range {
      try control.progress("hidden states of block \(block)")
      let loaded = stream == .original ? try blocks.original(block) : try blocks.packed(block, inputs, team: team)
      try loaded.forward(&hidden, team: team)
    }
    return hidden
  }
}
