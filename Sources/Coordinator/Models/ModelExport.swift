import CRVQ
import Checkpoint
import Foundation
import Messaging
import Numerics

/// A packed model decoded to float16, as a plain Hugging Face directory.
public struct ModelExport: Sendable {
  public let quantized: String
  public let output: String

  public init(quantized: String, output: String) {
    self.quantized = quantized
    self.output = output
  }

  /// Writes the directory under a temporary name and renames it.
  ///
  /// - Parameter checkStop: called before each tensor; throws if the output is no longer wanted.
  /// - Throws: errors that name the file at fault, and what `checkStop` throws; the final name is then not taken.
  public func run(checkStop: () throws -> Void, progress: (String) -> Void) throws {
    let (model, packed) = try OpenedModel.packed(quantized)
    try checkPlace()
    let names = packed.tensorNames
    let prefixes = Set(packed.packedPrefixes)
    // What the model does not read stays as it is: buffers of frequencies and masks, say.
    let unread = Set(model.model.unread(in: packed))
    func prefix(of name: String) -> String? {
      let prefix = String(name.dropLast(".weight".count))
      return name.hasSuffix(".weight") && prefixes.contains(prefix) ? prefix : nil
    }
    let declarations = try names.map { name in
      if prefix(of: name) != nil, let shape = packed.shape(of: name) {
        return TensorDeclaration(name: name, elementType: .float16, shape: shape)
      }
      let stored = try model.checkpoint.declaration(name)
      return unread.contains(name)
        ? stored : TensorDeclaration(name: name, elementType: .float16, shape: stored.shape)
    }
    try UnfinishedDirectory.write(output) { directory in
      let writer = try ShardedWriter(directory: directory.path, plan: ShardPlan(tensors: declarations))
      let team = ThreadTeam(threads: ThreadTeam.availableProcessors)
      for declaration in declarations {
        try checkStop()
        let name = declaration.name
        if let prefix = prefix(of: name) {
          try writer.append(packed.linear(prefix).decodeHalf(team: team), to: name)
        } else if unread.contains(name) {
          try writer.copy(name, from: model.checkpoint)
        } else {
          try writer.narrow(name, from: model.checkpoint)
        }
      }
      try checkStop()
      try writer.finish()
      try AtomicFile.write(
        model.config.configJSON(withoutQuantizationAs: "float16").utf8, to: "\(directory.path)/\(ModelConfig.fileName)")
      try directory.copyCompanions(from: quantized)
    }
    progress("decoded \(prefixes.count) linears")
  }

  /// In the packed model's directory the decoded one would be a file of which the report does not know.
  ///
  /// - Throws: ``CoordinatorError`` `.usage`.
  private func checkPlace() throws {
    guard let packed = FileIdentity(path: quantized) else { return }
    var place = output
    while true {
      if FileIdentity(path: place) == packed {
        throw CoordinatorError.usage("\(output): lies in --quantized \(quantized); choose another --output")
      }
      if place == "/" || place == "." { return }
      place = Directory.parent(of: place)
    }
  }
}
