/// Cuts token sequences into windows that do not overlap.
public enum TokenWindows {
  /// Windows of `length` tokens, in order; what is left at the end of a sequence is dropped. Sequences shorter than
  /// `length` are cut to the length of the shortest.
  ///
  /// - Parameter countMax: no more windows than this.
  /// - Throws: ``TransformerError`` if there is no window of at least two tokens.
  public static func cut(_ sequences: [[Int32]], length: Int, countMax: Int = .max) throws -> [[Int32]] {
    let length = min(length, sequences.map(\.count).min() ?? 0)
    guard length >= 2, countMax >= 1 else {
      throw TransformerError(
        .invalidInput,
        "tokens: expected at least one window of at least 2 tokens, got \(sequences.count) sequences, "
          + "windows of \(length), at most \(countMax) of them")
    }
    var windows: [[Int32]] = []
    for sequence in sequences {
      for start in stride(from: 0, through: sequence.count - length, by: length) {
        if windows.count == countMax { return windows }
        windows.append(Array(sequence[start..<start + length]))
      }
    }
    return windows
  }
}
