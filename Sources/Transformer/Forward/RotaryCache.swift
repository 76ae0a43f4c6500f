import Checkpoint
import Synchronization

/// The longest table of rotations asked for so far, shared by the blocks of a model: a shorter one is its beginning.
final class RotaryCache: Sendable {
  private let embedding: RotaryEmbedding
  private let headDimension: Int
  private let longest: Mutex<RotaryTable>

  init(_ embedding: RotaryEmbedding, headDimension: Int) {
    self.embedding = embedding
    self.headDimension = headDimension
    longest = Mutex(RotaryTable(half: headDimension / 2, length: 0))
  }

  /// A table of at least `length` positions.
  func table(length: Int) -> RotaryTable {
    longest.withLock { table in
      if table.length < length { table = embedding.table(length: length, headDimension: headDimension) }
      return table
    }
  }
}
