import CRVQ
import Checkpoint
import Foundation
import JobGraph
import Messaging
import Transformer

/// Writes the output directory: what the packed blocks have, everything else from the original.
///
/// Tensors are copied in pieces of bounded size; none is ever held whole.
struct ModelAssembler {
  let options: JobOptions
  /// The original, as it was opened when its digests were taken: its directory may hold another model by now.
  let inputs: JobInputs
  let store: ArtifactStore

  /// - Parameters:
  ///   - blocks: the merged or tuned blocks in order.
  ///   - distilled: tensors that take the place of some of theirs; nil for none.
  ///   - report: the report, given the digests of the files written.
  ///   - checkStop: called now and then; throws if the output is no longer wanted.
  /// - Throws: ``CheckpointError``, ``ArtifactError``, ``CoordinatorError``; the final name is then not taken. What has it already is
  ///   `.tryAgain`: the job can go on when that is gone.
  func assemble(
    _ blocks: [ArtifactRef], _ distilled: ArtifactRef?, report: (_ digests: [String: String]) throws -> JobReport,
    checkStop: () throws -> Void
  ) throws {
    if UnfinishedDirectory.isTaken(options.output) { throw CoordinatorError.tryAgain(options.outputIsTaken) }
    try UnfinishedDirectory.write(options.output) { directory in
      try writeTensors(blocks, distilled, to: directory.path, checkStop)
      let quantization = try JSONValue(encoding: QuantizationConfig(options.fit.format))
      try AtomicFile.write(
        inputs.config.configJSON(adding: quantization).utf8, to: "\(directory.path)/\(ModelConfig.fileName)")
      try directory.copyCompanions(from: options.model)
      let text = try report(try directory.digests(checkStop)).json()
      try AtomicFile.write(text.utf8, to: "\(directory.path)/\(JobReport.fileName)")
    }
  }

  /// The packed tensors block by block, then what the original has besides, by name.
  private func writeTensors(
    _ blocks: [ArtifactRef], _ distilled: ArtifactRef?, to directory: String, _ checkStop: () throws -> Void
  ) throws {
    let original = inputs.checkpoint
    let model = try LanguageModel(config: inputs.config)
    let others = try distilled.map { try SafetensorsFile(path: store.verifiedPath(of: $0)) }
    var replaced: Set<String> = []
    var tensors: [(declaration: TensorDeclaration, source: any StoredTensorSource)] = []
    for (block, artifact) in blocks.enumerated() {
      let packed = try SafetensorsFile(path: store.verifiedPath(of: artifact))
      let file = ReplacedTensors(packed, by: others)
      replaced.formUnion(model.linears.map { $0.tensorName(block: block) })
      // A tuned block has norms and biases of its own.
      replaced.formUnion(packed.tensorNames)
      for name in packed.tensorNames { tensors.append((try file.declaration(name), file)) }
    }
    // Norms and biases, if a distillation was the first to change them.
    for name in others.map(\.tensorNames) ?? [] where !replaced.contains(name) {
      replaced.insert(name)
      if let others { tensors.append((try others.declaration(name), others)) }
    }
    let kept = original.tensorNames.filter { !replaced.contains($0) }
    for name in kept { tensors.append((try original.declaration(name), original)) }
    let writer = try ShardedWriter(directory: directory, plan: ShardPlan(tensors: tensors.map(\.declaration)))
    for (tensor, source) in tensors {
      try checkStop()
      try writer.copy(tensor.name, from: source)
    }
    try writer.finish()
    // A file that is overwritten in place changes under whoever has it open.
    if let part = try inputs.manifest.changedPart(of: original, holding: Set(kept), checkStop) {
      throw CoordinatorError.tryAgain(
        "\(options.model) (\(part)): is not what the job was started with any more; restore it")
    }
  }
}
