import Checkpoint
import Foundation
import Messaging

/// What a coordinator gives to its workers: the artifacts of its store, and for machines that do not see them, the model part by part
/// and the tokens, read from where they lie.
///
/// No part is ever in memory whole. Whoever fetches checks what comes against its digest, so a file that has changed since
/// the job was started is found there.
final class ServedArtifacts: ArtifactSource {
  private enum Source {
    case manifest([UInt8])
    case part(ModelPart)
    case tokens
  }

  private let store: ArtifactStore
  private let inputs: JobInputs
  private let sources: [Artifact: Source]
  private let sizes: [Digest: UInt64]
  /// By path. Open from the beginning: what is served is what the job was started with, whatever becomes of its names.
  private let files: [String: OpenFile]

  /// - Throws: ``ArtifactError`` if a file of the model, or the tokens, cannot be opened.
  init(_ store: ArtifactStore, _ inputs: JobInputs) throws(ArtifactError) {
    var files: [String: OpenFile] = [:]
    for path in inputs.checkpoint.shards.map(\.path) + [inputs.tokensPath] { files[path] = try OpenFile(path) }
    self.files = files
    self.store = store
    self.inputs = inputs
    var sources: [Artifact: Source] = [
      inputs.manifestArtifact: .manifest(Array(inputs.manifest.text.utf8)), inputs.tokens: .tokens,
    ]
    for entry in inputs.manifest.entries {
      guard let digest = Digest(hex: entry.digest) else { continue }
      sources[Artifact(digest: digest, size: UInt64(entry.part.byteCount))] = .part(entry.part)
    }
    self.sources = sources
    sizes = Dictionary(sources.keys.map { ($0.digest, $0.size) }, uniquingKeysWith: { $1 })
  }

  func contains(_ digest: Digest, size: UInt64) -> Bool {
    sizes[digest] == size || store.contains(digest, size: size)
  }

  func readable(_ digest: Digest) throws(ArtifactError) -> any ReadableArtifact {
    guard let size = sizes[digest], let source = sources[Artifact(digest: digest, size: size)] else {
      return try store.file(digest)
    }
    let artifact = Artifact(digest: digest, size: size)
    switch source {
    case .manifest(let bytes): return PiecewiseArtifact(artifact, [.memory(bytes)])
    case .tokens: return PiecewiseArtifact(artifact, [.file(try file(inputs.tokensPath), 0..<size)])
    case .part(let part): return PiecewiseArtifact(artifact, try pieces(of: part))
    }
  }

  private func pieces(of part: ModelPart) throws(ArtifactError) -> [PiecewiseArtifact.Piece] {
    var pieces: [PiecewiseArtifact.Piece] = [.memory(part.header)]
    for name in part.tensorNames {
      let path = inputs.checkpoint.path(of: name)
      guard let range = try? inputs.checkpoint.info(name).byteRange else {
        throw .io(operation: "find tensor \(name) in", path: path, errno: ENOENT)
      }
      pieces.append(.file(try file(path), UInt64(range.lowerBound)..<UInt64(range.upperBound)))
    }
    return pieces
  }

  private func file(_ path: String) throws(ArtifactError) -> OpenFile {
    guard let file = files[path] else { throw .io(operation: "serve", path: path, errno: ENOENT) }
    return file
  }
}
