import CRVQ
import Transformer

/// A packed block as it is stored: linears, and the vectors beside them.
package struct PackedBlock: Sendable {
  package var linears: [LinearRole: PackedLinear]
  /// Norms and biases of this block with their values in the model.
  package var block: DecoderBlock

  package init(linears: [LinearRole: PackedLinear], block: DecoderBlock) {
    self.linears = linears
    self.block = block
  }
}
