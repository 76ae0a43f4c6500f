import Foundation

/// What a model is, to the last byte: its config.json, and the digest of each ``ModelPart``.
///
/// The digest of the manifest's own text stands for the whole model.
public struct ModelManifest: Sendable {
  public struct Entry: Sendable {
    public let part: ModelPart
    /// SHA-256 of the part's bytes, 64 hexadecimal digits.
    public let digest: String

    public init(part: ModelPart, digest: String) {
      self.part = part
      self.digest = digest
    }
  }

  /// The text of config.json.
  public let config: String
  public let entries: [Entry]

  private static let format = "crvq model manifest 1"
  private static let header = "header"

  public init(config: String, entries: [Entry]) {
    self.config = config
    self.entries = entries
  }

  /// The manifest as JSON text: equal manifests give equal text.
  public var text: String {
    let parts = entries.map { entry in
      JSONValue.object([
        "name": .string(entry.part.name), "sha256": .string(entry.digest),
        "size": .number(String(entry.part.byteCount)),
        // After the length field, which its own length gives.
        Self.header: .string(String(decoding: entry.part.header.dropFirst(8), as: UTF8.self)),
      ])
    }
    return JSONValue.object([
      "format": .string(Self.format), "config": .string(config), "parts": .array(parts),
    ]).text(indented: false)
  }

  /// Reads what ``text`` gives.
  ///
  /// - Parameter path: appears in messages.
  /// - Throws: ``CheckpointError`` of kind malformed.
  public init(parsing text: UnsafeRawBufferPointer, path: String) throws {
    func malformed(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, path: path, "no manifest of a model: \(message)")
    }
    let document: JSONValue
    do throws(JSONSyntaxError) { document = try JSONValue(parsing: text) } catch { throw malformed("\(error)") }
    guard document["format"]?.string == Self.format else {
      throw malformed("expected format '\(Self.format)', got \(document["format"]?.shown ?? "none")")
    }
    guard let config = document["config"]?.string, let parts = document["parts"]?.array else {
      throw malformed("expected config and parts")
    }
    self.config = config
    var names: Set<String> = []
    entries = try parts.map { value in
      guard let name = value["name"]?.string, let digest = value["sha256"]?.string, let size = value["size"]?.integer,
        let header = value[Self.header]?.string
      else { throw malformed("a part without name, sha256, size or header") }
      let bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
      guard size >= bytes.count else { throw malformed("part \(name) has \(size) bytes, fewer than its header") }
      let part = try ModelPart(name: name, header: bytes, byteCount: size, path: path)
      for tensor in part.tensors.keys where !names.insert(tensor).inserted {
        throw malformed("tensor \(tensor) is in two parts")
      }
      return Entry(part: part, digest: digest)
    }
  }
}
