import Checkpoint
import Foundation
import Messaging
import Synchronization

/// The tensors of the job's model, as they lie in its files.
///
/// Each part is read where the coordinator says the model lies, if this machine has it there and every byte of it is the job's. Where
/// it is not, the coordinator gives it. Either way the bytes are checked once, before their first use.
final class ModelTensors: StoredTensorSource {
  private let directory: String
  /// What this machine has where the model should lie; nil for nothing, or nothing that is a model.
  private let local: Checkpoint?
  private let files: CoordinatorFiles
  private let noted: @Sendable (String) -> Void
  private let parts: [SoughtPart]
  private let partOfTensor: [String: Int]
  let tensorNames: [String]

  /// - Parameters:
  ///   - directory: where the model lies on the coordinator's machine, and perhaps on this one.
  ///   - noted: is given a line for the log about files here that are not the job's.
  init(
    _ manifest: ModelManifest, in directory: String, files: CoordinatorFiles,
    noted: @escaping @Sendable (String) -> Void
  ) {
    self.directory = directory
    self.noted = noted
    self.files = files
    do { local = try Checkpoint(directory: directory) } catch {
      local = nil
      if FileManager.default.fileExists(atPath: directory) { noted("\(error); the coordinator serves the model") }
    }
    parts = manifest.entries.map(SoughtPart.init)
    var partOfTensor: [String: Int] = [:]
    for (index, part) in parts.enumerated() {
      for name in part.layout.tensors.keys { partOfTensor[name] = index }
    }
    self.partOfTensor = partOfTensor
    tensorNames = partOfTensor.keys.sorted()
  }

  /// Where the model is, for people, as far as can be told without reading it.
  var place: String {
    guard let local, parts.allSatisfy({ $0.layout.fits(local) }) else { return "comes from the coordinator" }
    return "is here"
  }

  func shape(of name: String) -> [Int]? { part(of: name)?.layout.tensors[name]?.shape }

  func floats(_ name: String) throws -> [Float] { try read(name) { try $0.floats(name, requireFinite: true) } }

  func finiteFloats(_ name: String) throws -> [Float] { try floats(name) }

  func floats(_ name: String, rows: Range<Int>) throws -> [Float] {
    try read(name) { try $0.floats(name, rows: rows, requireFinite: true) }
  }

  func info(_ name: String) throws -> TensorInfo { try read(name) { try $0.info(name) } }

  func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try read(name) { try $0.withBytes(name, body) }
  }

  func path(of name: String) -> String {
    guard let part = part(of: name) else { return directory }
    return local.map { $0.path(of: name) } ?? shown(part)
  }

  private func part(of name: String) -> SoughtPart? { partOfTensor[name].map { parts[$0] } }

  /// What messages call a part that is not read from the model's own files.
  private func shown(_ part: SoughtPart) -> String { "\(directory) (\(part.layout.name))" }

  /// - Throws: ``CheckpointError``; ``TaskError`` if cancelled or the part cannot be had; ``ArtifactError`` if this machine's disk is at
  ///   fault.
  private func read<Result>(_ name: String, _ body: (SafetensorsFile) throws -> Result) throws -> Result {
    guard let part = part(of: name) else { throw CheckpointError(.missing, path: directory, "no tensor \(name)") }
    switch try part.place({ try find(part) }) {
    case .here(let model): return try body(model.shard(of: name))
    case .fetched(let file, let artifact):
      do { return try body(file) } catch let error as CheckpointError {
        if files.isIntact(artifact) { throw error }
        // Damaged in this machine's cache: no fault of the model.
        part.forget()
        throw TaskError.other("\(error)")
      }
    }
  }

  private func find(_ part: SoughtPart) throws -> SoughtPart.Place {
    guard let artifact = part.artifact else { throw TaskError.badInput("\(shown(part)): the manifest has no digest") }
    if let local {
      if try isJobs(part.layout, artifact.digest, local) { return .here(local) }
      noted("\(shown(part)): not the job's; the coordinator serves it")
    }
    let path = try files.path(of: artifact, named: shown(part))
    return .fetched(try SafetensorsFile(path: path, shownAs: shown(part)), artifact)
  }

  private func isJobs(_ part: ModelPart, _ digest: Digest, _ local: Checkpoint) throws -> Bool {
    guard part.fits(local) else { return false }
    let found = try Digest.of { add in
      try part.forEachChunk(from: local) { piece in
        add(piece)
        try TaskControl.current?.goOn()
      }
    }
    return found == digest
  }
}
