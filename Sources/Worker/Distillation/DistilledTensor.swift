import CRVQ
import Transformer

/// A tensor of a packed block that a distillation changes.
package struct DistilledTensor: Sendable {
  package let name: String
  package let shape: [Int]
  /// Sizes of the vectors it consists of, each with a rate of its own: the codebooks of a linear differ by orders of magnitude.
  package let parts: [Int]
  /// The size of a step, as a share of a vector's root mean square.
  package let relativeRate: Float

  /// - Parameter parts: add up to the shape's product; nil for a tensor that is one vector.
  package init(name: String, shape: [Int], parts: [Int]? = nil, relativeRate: Float) {
    self.name = name
    self.shape = shape
    self.parts = parts ?? [shape.reduce(1, *)]
    self.relativeRate = relativeRate
  }
}

extension LanguageModel {
  /// The codebooks and scales of a packed block's linears, its norms and biases.
  func distilledTensors(ofBlock block: Int, _ format: PackedFormat, _ options: TuneOptions) -> [DistilledTensor] {
    let packed = linears.flatMap { linear in
      let sizes = format.storedBits(columns: linear.inFeatures).map { format.groupSize << $0 }
      let path = linear.path(block: block)
      return [
        DistilledTensor(
          name: PackedPart.codebooks.name(of: path),
          shape: [sizes.reduce(0, +) / format.groupSize, format.groupSize], parts: sizes,
          relativeRate: options.codebookRate),
        DistilledTensor(
          name: PackedPart.scales.name(of: path), shape: [linear.outFeatures], relativeRate: options.scaleRate),
      ]
    }
    let biases = Set(linears.compactMap { $0.biasName(block: block) })
    let others = otherTensors(ofBlock: block).map {
      DistilledTensor(
        name: $0.name, shape: $0.shape, relativeRate: biases.contains($0.name) ? options.biasRate : options.normRate)
    }
    return packed + others
  }
}
