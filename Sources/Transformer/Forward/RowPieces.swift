/// The fixed pieces in which the rows of a batch are worked on: runs of positions of one sequence.
///
/// They depend on the length alone. So the bytes computed for a sequence depend neither on the number of threads nor on the
/// sequences that happen to share its batch, machine or memory limit.
package struct RowPieces {
  /// Positions a piece: enough for sgemm to earn back the packing of the weights.
  package static let positionsMax = 256

  let sequences: Int
  let length: Int

  private var piecesPerSequence: Int { (length + Self.positionsMax - 1) / Self.positionsMax }
  var count: Int { sequences * piecesPerSequence }

  /// The first row (among all rows of the batch), the first position and the number of positions of a piece.
  subscript(index: Int) -> (row: Int, position: Int, count: Int) {
    let sequence = index / piecesPerSequence
    let position = index % piecesPerSequence * Self.positionsMax
    return (sequence * length + position, position, min(Self.positionsMax, length - position))
  }
}
