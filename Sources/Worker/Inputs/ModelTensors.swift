import Checkpoint
import Foundation
import Messaging
import Synchronization

/// The tensors of the job's model, as they lie in its files.
///
/// Each part is read where the coordinator says the model lies, if this machine has it there and every byte of it is the job's. Where
/// it is not, the coordinator serves it. Either way the bytes are checked once, before their first use.
final class ModelTensors: StoredTensorSource {
  private let directory: String
  /// What this machine has where the model should lie; nil for nothing, or nothing that is a model.
  private let local: Checkpoint?
  private let served: ServedFiles
  private let noted: @Sendable (String) -> Void
  private let parts: [Part]
  private let partOfTensor: [String: Int]
  let tensorNames: [String]

  private enum Place {
    case here(Checkpoint)
    case served(SafetensorsFile)
  }

  /// A part and, once it was asked for, where it is.
  private final class Part: Sendable {
    let entry: ModelManifest.Entry
    let place = Mutex<Place?>(nil)

    init(_ entry: ModelManifest.Entry) { self.entry = entry }
  }

  /// - Parameters:
  ///   - directory: where the model lies on the coordinator's machine, and perhaps on this one.
  ///   - noted: is given a line for the log about files here that are not the job's.
  init(
    _ manifest: ModelManifest, in directory: String, served: ServedFiles, noted: @escaping @Sendable (String) -> Void
  ) {
    self.directory = directory
    self.noted = noted
    self.served = served
    do { local = try Checkpoint(directory: directory) } catch {
      local = nil
      if FileManager.default.fileExists(atPath: directory) { noted("\(error); the coordinator serves the model") }
    }
    parts = manifest.entries.map(Part.init)
    var partOfTensor: [String: Int] = [:]
    for (index, part) in parts.enumerated() {
      for name in part.entry.part.tensors.keys { partOfTensor[name] = index }
    }
    self.partOfTensor = partOfTensor
    tensorNames = partOfTensor.keys.sorted()
  }

  /// Whether this machine has a model where the job's should lie.
  var isHere: Bool { local != nil }

  func shape(of name: String) -> [Int]? { part(of: name)?.entry.part.tensors[name]?.shape }

  func floats(_ name: String) throws -> [Float] { try file(of: name).floats(name, requireFinite: true) }

  func floats(_ name: String, rows: Range<Int>) throws -> [Float] {
    try file(of: name).floats(name, rows: rows, requireFinite: true)
  }

  func info(_ name: String) throws -> TensorInfo { try file(of: name).info(name) }

  func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try file(of: name).withBytes(name, body)
  }

  func path(of name: String) -> String {
    switch part(of: name)?.place.withLock({ $0 }) {
    case .here(let model): model.path(of: name)
    case .served(let file): file.path
    case nil: directory
    }
  }

  private func part(of name: String) -> Part? { partOfTensor[name].map { parts[$0] } }

  /// - Throws: ``CheckpointError``; ``TaskError`` if cancelled or the part cannot be had; ``ArtifactError`` if this machine's disk is at
  ///   fault.
  private func file(of name: String) throws -> SafetensorsFile {
    guard let part = part(of: name) else { throw CheckpointError(.missing, path: directory, "no tensor \(name)") }
    // Held while it is found, so that it is found once.
    let place = try part.place.withLock { place in
      let found = try place ?? find(part.entry)
      place = found
      return found
    }
    switch place {
    case .here(let model): return try model.shard(of: name)
    case .served(let file): return file
    }
  }

  private func find(_ entry: ModelManifest.Entry) throws -> Place {
    let shown = "\(directory) (\(entry.part.name))"
    guard let digest = Digest(hex: entry.digest) else {
      throw TaskError.badInput("\(shown): the manifest has no digest")
    }
    if let local {
      if try isJobs(entry.part, digest, local) { return .here(local) }
      noted("\(shown): not the job's; the coordinator serves it")
    }
    let artifact = Artifact(digest: digest, size: UInt64(entry.part.byteCount))
    let path = try served.path(of: artifact, named: shown)
    return .served(try SafetensorsFile(path: path, shownAs: shown))
  }

  private func isJobs(_ part: ModelPart, _ digest: Digest, _ local: Checkpoint) throws -> Bool {
    guard part.fits(local) else { return false }
    var builder = DigestBuilder()
    try part.forEachChunk(from: local) {
      builder.update($0)
      TaskControl.current?.pulse()
    }
    return builder.digest == digest
  }
}
