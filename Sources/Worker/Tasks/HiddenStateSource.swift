import Foundation
import JobGraph
import Messaging
import Numerics
import Transformer

/// Hidden states in front of a block. A shard's are from this worker's cache, from the worker that has it, or made again from the
/// tokens.
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
    if block > 0, var hidden = try stored(stream, block: block - 1, shard: shard) {
      try advance(&hidden, stream, through: block - 1..<block)
      return hidden
    }
    return try made(stream, of: job.tokens(ofShard: shard), before: block)
  }

  /// Those of any sequences, made from the tokens.
  ///
  /// - Throws: ``TaskError`` if cancelled; errors of reading model and tokens.
  func made(_ stream: HiddenStream, of tokens: [[Int32]], before block: Int) throws -> HiddenStates {
    var hidden = try job.model.embed(tokens: tokens, from: job.original)
    try advance(&hidden, stream, through: 0..<block)
    return hidden
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

  private func advance(_ hidden: inout HiddenStates, _ stream: HiddenStream, through range: Range<Int>) throws {
    for block in range {
      try control.progress("hidden states of block \(block)")
      let loaded = stream == .original ? try blocks.original(block) : try blocks.packed(block, inputs, team: team)
      try loaded.forward(&hidden, team: team)
    }
  }
}
