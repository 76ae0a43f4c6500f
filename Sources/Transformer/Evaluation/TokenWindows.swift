import Checkpoint

/// Where the windows of a token file lie: one after another in each sequence, without overlap; what is left at the end of a
/// sequence is dropped.
public struct TokenWindows: Sendable, Equatable {
  /// Tokens in each window.
  public let length: Int
  public let count: Int

  private let countPerSequence: Int

  /// - Parameters:
  ///   - sequenceLength: tokens in each sequence; windows are no longer.
  ///   - countMax: no more windows than this, the first ones.
  /// - Throws: ``TransformerError`` if there is no window of at least two tokens.
  public init(sequenceCount: Int, sequenceLength: Int, length: Int, countMax: Int = .max) throws {
    let length = min(length, sequenceLength)
    guard sequenceCount >= 1, length >= 2, countMax >= 1 else {
      throw TransformerError(
        .invalidInput,
        "tokens: expected at least one window of at least 2 tokens, got \(sequenceCount) sequences, "
          + "windows of \(length), at most \(countMax) of them")
    }
    self.length = length
    countPerSequence = sequenceLength / length
    count = min(sequenceCount * countPerSequence, countMax)
  }

  /// As ``init(sequenceCount:sequenceLength:length:countMax:)`` for the sequences of a file.
  public init(of file: TokenFile, length: Int, countMax: Int = .max) throws {
    try self.init(
      sequenceCount: file.sequenceCount, sequenceLength: file.length, length: length, countMax: countMax)
  }

  /// The sequence of a window, and its positions there.
  public func place(of window: Int) -> (sequence: Int, positions: Range<Int>) {
    precondition((0..<count).contains(window), "window \(window) of \(count)")
    let start = window % countPerSequence * length
    return (window / countPerSequence, start..<start + length)
  }

  /// The tokens of a window of the file.
  public func tokens(_ window: Int, of file: TokenFile) -> [Int32] {
    let (sequence, positions) = place(of: window)
    return Array(file.sequence(sequence)[positions])
  }
}
