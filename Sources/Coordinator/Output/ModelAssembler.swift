import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// Writes the output directory: packed linears from the merged blocks, everything else from the original.
///
/// Tensors are copied in pieces of bounded size; none is ever held whole.
struct ModelAssembler {
  let options: JobOptions
  let store: ArtifactStore

  /// Files of the original that a tokenizer or a generation loop needs, copied as they are.
  static let companionFiles = [
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
  ]
  /// The longest companion file that is copied.
  static let companionByteCountMax = 1 << 28

  /// Where the output grows until it is complete.
  var unfinishedPath: String { options.output + ".incomplete" }

  /// Writes the directory under a temporary name beside its final one and renames it. What an earlier attempt left there
  /// is removed.
  ///
  /// - Parameters:
  ///   - merged: the merged blocks in order.
  ///   - report: the report, given the digests of the files written.
  /// - Throws: ``CheckpointError``, ``ArtifactError``, ``CoordinatorError``; the final name is then not taken.
  func assemble(_ merged: [ArtifactRef], report: (_ digests: [String: String]) throws -> JobReport) throws {
    try prepare()
    let config = try ModelConfig(directory: options.model)
    try writeTensors(merged, config)
    let quantization = try JSONValue(encoding: QuantizationConfig(options.fit.format))
    try AtomicFile.write(config.configJSON(adding: quantization).utf8, to: "\(unfinishedPath)/\(ModelConfig.fileName)")
    try copyCompanions()
    let text = try report(try digests()).json()
    try AtomicFile.write(text.utf8, to: "\(unfinishedPath)/\(JobReport.fileName)")
    if rename(unfinishedPath, options.output) != 0 {
      throw CoordinatorError.io("\(options.output): cannot take its final name: \(String(cString: strerror(errno)))")
    }
  }

  private func prepare() throws {
    let files = FileManager.default
    if files.fileExists(atPath: options.output) {
      throw CoordinatorError.usage("\(options.output): exists; remove it and resume")
    }
    do {
      if files.fileExists(atPath: unfinishedPath) { try files.removeItem(atPath: unfinishedPath) }
      try files.createDirectory(atPath: unfinishedPath, withIntermediateDirectories: true)
    } catch {
      throw CoordinatorError.io("\(unfinishedPath): \(error.localizedDescription)")
    }
  }

  /// The packed tensors block by block, then what the original has besides, by name.
  private func writeTensors(_ merged: [ArtifactRef], _ config: ModelConfig) throws {
    let original = try Checkpoint(directory: options.model)
    let shape = try Architectures.shape(of: config)
    var replaced: Set<String> = []
    var tensors: [(declaration: TensorDeclaration, source: any TensorBytes)] = []
    for (block, artifact) in merged.enumerated() {
      let file = try SafetensorsFile(path: store.verifiedPath(of: artifact))
      replaced.formUnion(LinearRole.allCases.map { shape.linear($0).tensorName(block: block) })
      for name in file.tensorNames { tensors.append((try file.declaration(name), file)) }
    }
    for name in original.tensorNames where !replaced.contains(name) {
      tensors.append((try original.declaration(name), original))
    }
    let writer = try ShardedWriter(directory: unfinishedPath, plan: ShardPlan(tensors: tensors.map(\.declaration)))
    for (tensor, source) in tensors {
      try source.forEachChunk(of: tensor.name) { try writer.append($0, to: tensor.name) }
    }
    try writer.finish()
  }

  private func copyCompanions() throws {
    for name in Self.companionFiles {
      let source = "\(options.model)/\(name)"
      guard FileManager.default.fileExists(atPath: source) else { continue }
      let bytes = try AtomicFile.read(source, byteCountMax: Self.companionByteCountMax)
      try AtomicFile.write(bytes, to: "\(unfinishedPath)/\(name)")
    }
  }

  private func digests() throws -> [String: String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: unfinishedPath)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try FileDigest.of(path: "\(unfinishedPath)/\($0)").hex) })
  }
}
