import JobGraph
import Messaging
import Synchronization
import Transformer

/// What the original model has behind its last block for the sequences of a micro-batch: made once, and then kept among this
/// worker's artifacts if there is room, because every epoch asks for it again. Space: up to tokens · hiddenSize floats on disk.
final class ExpectedStates: Sendable {
  private let kept = Mutex<[Range<Int>: Digest]>([:])

  /// - Throws: ``TaskError`` if cancelled; errors of reading model and tokens.
  func states(of sequences: Range<Int>, _ environment: TaskEnvironment) throws -> HiddenStates {
    if let states = stored(sequences, environment) { return states }
    let job = environment.job
    let hidden = try environment.hiddenStates.made(
      .original, of: job.tokens(of: sequences), before: job.model.blockCount)
    let artifact = try? hidden.put(into: environment.store)
    kept.withLock { $0[sequences] = artifact?.digest }
    return hidden
  }

  /// nil if they were not made yet, or what was kept is gone or damaged.
  private func stored(_ sequences: Range<Int>, _ environment: TaskEnvironment) -> HiddenStates? {
    guard let digest = kept.withLock({ $0[sequences] }) else { return nil }
    return try? HiddenStates(digest, in: environment.store)
  }
}
