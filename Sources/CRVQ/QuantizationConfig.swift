import Checkpoint

/// The object `quantization_config` of a packed model's config.json.
public struct QuantizationConfig: Sendable, Equatable, Encodable {
  public let format: PackedFormat

  public static let method = "crvq"
  public static let formatVersion = 1

  public init(_ format: PackedFormat) { self.format = format }

  /// Reads it from a packed model's configuration.
  ///
  /// - Throws: ``CRVQError`` (`malformed`) naming file and key, what was expected and what is there.
  public init(_ config: ModelConfig) throws {
    func fault(_ message: String) -> CRVQError {
      CRVQError(.malformed, "\(config.path): quantization_config: \(message)")
    }
    guard let object = config.quantization else {
      throw fault("there is none; this is not a packed model")
    }
    guard let method = object["quant_method"]?.string, method == Self.method else {
      throw fault("quant_method: expected \"\(Self.method)\", got \(object["quant_method"]?.string ?? "nothing")")
    }
    guard let version = object["format_version"]?.integer, version == Self.formatVersion else {
      throw fault(
        "format_version: expected \(Self.formatVersion), got \(object["format_version"]?.integer ?? 0); "
          + "use the release of crvq that wrote the model, or a newer one")
    }
    guard let groupSize = object["group_size"]?.integer else { throw fault("group_size: expected an integer") }
    guard let bits = object["codebook_bits"]?.array, case let values = bits.compactMap(\.integer),
      values.count == bits.count
    else { throw fault("codebook_bits: expected a list of integers") }
    guard let ratio = object["critical_ratio"]?.double else { throw fault("critical_ratio: expected a number") }
    format = PackedFormat(groupSize: groupSize, codebookBits: values, criticalRatio: ratio)
    do { try format.validate() } catch let error as CRVQError { throw fault(error.message) }
  }

  private enum Keys: String, CodingKey {
    case method = "quant_method"
    case version = "format_version"
    case groupSize = "group_size"
    case codebookBits = "codebook_bits"
    case criticalRatio = "critical_ratio"
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(Self.method, forKey: .method)
    try container.encode(Self.formatVersion, forKey: .version)
    try container.encode(format.groupSize, forKey: .groupSize)
    try container.encode(format.codebookBits, forKey: .codebookBits)
    try container.encode(format.criticalRatio, forKey: .criticalRatio)
  }
}
