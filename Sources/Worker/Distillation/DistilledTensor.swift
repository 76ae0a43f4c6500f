import CRVQ
import Transformer

/// A tensor of a packed block that a distillation changes.
package struct DistilledTensor: Sendable {
  package let name: String
  package let shape: [Int]
  /// The size of a step, as a share of the values' root mean square.
  package let relativeRate: Float

  package init(name: String, shape: [Int], relativeRate: Float) {
    self.name = name
    self.shape = shape
    self.relativeRate = relativeRate
  }
}

extension LanguageModel {
  /// The codebooks and scales of a packed block's linears, its norms and biases.
  ///
  /// - Throws: ``TaskError`` for a packed block that lacks one.
  func distilledTensors(
    ofBlock block: Int, in tensors: PackedTensors, _ options: TuneOptions
  ) throws -> [DistilledTensor] {
    let others = otherTensors(ofBlock: block).map(\.name)
    let biases = Set(linears(ofBlock: block).compactMap { $0.biasName(block: block) })
    let rates =
      linears(ofBlock: block).flatMap { linear in
        let path = linear.path(block: block)
        return [("\(path).codebooks", options.codebookRate), ("\(path).scales", options.scaleRate)]
      } + others.map { ($0, biases.contains($0) ? options.biasRate : options.normRate) }
    return try rates.map { name, rate in
      guard let shape = tensors.shape(of: name) else {
        throw TaskError.other("block \(block) came without its tensor \(name)")
      }
      return DistilledTensor(name: name, shape: shape, relativeRate: rate)
    }
  }
}
