import Checkpoint
import Messaging

/// A tensor to be written: name, shape and values.
package struct FloatTensor {
  package enum Values {
    case float32([Float])
    /// Bits.
    case float16([UInt16])
  }

  package let name: String
  package let shape: [Int]
  package let values: Values

  package init(name: String, shape: [Int], values: Values) {
    self.name = name
    self.shape = shape
    self.values = values
  }

  /// Writes tensors as one safetensors file among the artifacts.
  ///
  /// - Throws: ``CheckpointError``, ``ArtifactError``: it cannot be written.
  package static func put(_ tensors: [FloatTensor], into store: ArtifactStore) throws -> Artifact {
    let declared = tensors.map { TensorDeclaration(name: $0.name, elementType: $0.elementType, shape: $0.shape) }
    return try store.put(declared) { writer in
      for tensor in tensors {
        switch tensor.values {
        case .float32(let values): try writer.append(values, to: tensor.name)
        case .float16(let bits): try writer.append(bits, to: tensor.name)
        }
      }
    }
  }

  private var elementType: ElementType {
    switch values {
    case .float32: .float32
    case .float16: .float16
    }
  }
}
