import Checkpoint
import Numerics

extension LanguageModel {
  /// Checks token sequences: at least one, all of one length of at least 1, every id inside the vocabulary.
  ///
  /// - Throws: ``TransformerError`` naming the sequence and position.
  public func validate(tokens: [[Int32]]) throws {
    guard let length = tokens.first?.count, length > 0 else {
      throw TransformerError(.invalidInput, "tokens: expected at least one sequence of at least one token")
    }
    for (sequence, ids) in tokens.enumerated() {
      guard ids.count == length else {
        throw TransformerError(
          .invalidInput, "tokens: expected sequences of \(length), got one of \(ids.count) at index \(sequence)")
      }
      if let position = ids.firstIndex(where: { $0 < 0 || $0 >= shape.vocabularySize }) {
        throw TransformerError(
          .invalidInput,
          "tokens: sequence \(sequence), position \(position): expected an id from 0 to \(shape.vocabularySize - 1), "
            + "got \(ids[position])")
      }
    }
  }

  /// The input of the first block: one embedding a token.
  ///
  /// - Parameter tokens: sequences of one length.
  /// - Throws: ``TransformerError`` for tokens as ``validate(tokens:)``; ``CheckpointError`` if the embedding matrix is
  ///   missing, of another shape or not finite.
  public func embed(tokens: [[Int32]], from source: some TensorSource) throws -> HiddenStates {
    try validate(tokens: tokens)
    try embeddingTensor.check(in: source)
    let width = shape.hiddenSize
    let ids = tokens.flatMap { $0 }
    // Each row that occurs is read once; the table as a whole is never in memory.
    var firstUse: [Int32: Int] = [:]
    var values = [Float](repeating: 0, count: ids.count * width)
    try values.withUnsafeMutableBufferPointer { values in
      for (position, id) in ids.enumerated() {
        let place = position * width..<(position + 1) * width
        if let earlier = firstUse[id] {
          _ = values[place].update(fromContentsOf: values[earlier * width..<(earlier + 1) * width])
        } else {
          firstUse[id] = position
          _ = values[place].update(fromContentsOf: try source.floats(embeddingTensor.name, rows: Int(id)..<Int(id) + 1))
        }
      }
    }
    if let index = Finite.firstNonFinite(values) {
      throw CheckpointError.notFinite(
        values[index], at: [Int(ids[index / width]), index % width], of: embeddingTensor.name,
        path: source.path(of: embeddingTensor.name))
    }
    return HiddenStates(
      sequences: tokens.count, length: tokens[0].count, width: width, unchecked: values)
  }
}
