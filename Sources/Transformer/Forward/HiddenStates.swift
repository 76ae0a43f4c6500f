/// The residual stream between two blocks for a batch of sequences of one length.
public struct HiddenStates: Sendable, Equatable {
  public let sequences: Int
  /// Positions a sequence.
  public let length: Int
  /// Channels a position.
  public let width: Int
  /// [sequences, length, width], row-major.
  public var values: [Float]

  /// Positions of all sequences.
  public var rows: Int { sequences * length }

  /// Wraps `values`, [sequences, length, width].
  ///
  /// - Throws: ``TransformerError`` if the count is another, or a size is below 1.
  public init(sequences: Int, length: Int, width: Int, values: [Float]) throws {
    let (rows, overflow) = sequences.multipliedReportingOverflow(by: length)
    let (count, overflowToo) = rows.multipliedReportingOverflow(by: width)
    guard sequences > 0, length > 0, width > 0, !overflow, !overflowToo, values.count == count else {
      throw TransformerError(
        .invalidInput,
        "hidden states: expected \(sequences) × \(length) × \(width) values, each at least 1, got \(values.count)")
    }
    self.sequences = sequences
    self.length = length
    self.width = width
    self.values = values
  }

  /// The states of some of the sequences.
  public func slice(_ range: Range<Int>) -> HiddenStates {
    precondition(range.lowerBound >= 0 && range.upperBound <= sequences && !range.isEmpty, "sequences out of range")
    let size = length * width
    return HiddenStates(
      sequences: range.count, length: length, width: width,
      unchecked: Array(values[range.lowerBound * size..<range.upperBound * size]))
  }

  init(sequences: Int, length: Int, width: Int, unchecked values: [Float]) {
    self.sequences = sequences
    self.length = length
    self.width = width
    self.values = values
  }
}
