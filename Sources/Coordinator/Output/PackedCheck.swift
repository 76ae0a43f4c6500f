import CRVQ
import Checkpoint
import Transformer

/// Whether what a worker has packed is what was asked for, in every bit that readers look at. A file that none of them takes
/// would otherwise be stored, and end the job, and each that resumes it.
package struct PackedCheck {
  private let format: PackedFormat
  private let linears: [String: [Int]]
  private let others: [String: [Int]]

  /// - Parameters:
  ///   - linears: shapes of what is packed, by path: "model.layers.3.self_attn.q_proj". All are there.
  ///   - others: shapes of what there may be besides, by name.
  package init(_ format: PackedFormat, linears: [String: [Int]], others: [String: [Int]] = [:]) {
    self.format = format
    self.linears = linears
    self.others = others
  }

  /// - Throws: ``CheckpointError`` for a file that is no safetensors file, ``CRVQError`` naming what is not as it should be.
  package func run(onFileAt path: String) throws {
    let file = try SafetensorsFile(path: path)
    var known: Set<String> = []
    for (prefix, shape) in linears.sorted(by: { $0.key < $1.key }) {
      known.formUnion(PackedPart.names(of: prefix))
      let linear = try PackedLinear(prefix: prefix, format: format) { try Self.tensor($0, of: file) }
      try Self.expect(shape, of: prefix, [linear.rows, linear.columns])
    }
    for name in file.tensorNames where !known.contains(name) {
      guard let shape = others[name] else { throw CRVQError(.malformed, "\(name): not asked for") }
      try Self.expect(shape, of: name, file.shape(of: name) ?? [])
      _ = try file.finiteFloats(name)
    }
  }

  private static func tensor(_ name: String, of file: SafetensorsFile) throws -> PackedTensor? {
    guard let shape = file.shape(of: name) else { return nil }
    let bytes = try file.withBytes(name) { Array($0) }
    return PackedTensor(name: name, type: try file.info(name).elementType, shape: shape, bytes: bytes)
  }

  private static func expect(_ shape: [Int], of name: String, _ found: [Int]) throws {
    if found != shape { throw CRVQError(.malformed, "\(name): shape is \(found); expected \(shape)") }
  }
}

extension PackedCheck {
  /// nil for results that are nothing packed.
  init?(_ result: StoredResult, of model: LanguageModel, _ format: PackedFormat) {
    let block = result.block
    switch result.kind {
    case .fit: self.init(format, [model.linears[result.part]], [], block)
    // A block that a tune has changed has norms and biases of its own.
    case .tune: self.init(format, model.linears, model.otherTensors(ofBlock: block), block)
    case .merge, .update, .verify, .evaluate: return nil
    }
  }

  private init(_ format: PackedFormat, _ linears: [LinearSpec], _ others: [TensorSpec], _ block: Int) {
    self.init(
      format,
      linears: Dictionary(
        uniqueKeysWithValues: linears.map { ($0.path(block: block), [$0.outFeatures, $0.inFeatures]) }),
      others: Dictionary(uniqueKeysWithValues: others.map { ($0.name, $0.shape) }))
  }
}
