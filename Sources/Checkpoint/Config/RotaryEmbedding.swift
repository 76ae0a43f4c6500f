/// How positions turn queries and keys: `rope_theta` and `rope_scaling` of config.json, or the `rope_parameters` that newer
/// versions of transformers write in their place.
public struct RotaryEmbedding: Sendable, Equatable {
  /// How frequencies are changed for contexts longer than the model was first trained on.
  public enum Scaling: Sendable, Equatable {
    /// `default`: not at all.
    case none
    /// `linear`: every frequency divided by `factor` (Chen et al., arXiv 2306.15595).
    case linear(factor: Double)
    /// `llama3`: wavelengths beyond `originalPositions / lowFrequencyFactor` divided by `factor`, those under
    /// `originalPositions / highFrequencyFactor` kept, interpolated between.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalPositions: Int)
  }

  /// The base of the frequencies.
  public let theta: Double
  /// What is done to the frequencies.
  public let scaling: Scaling

  /// A rotary embedding by its two parameters.
  public init(theta: Double, scaling: Scaling) {
    self.theta = theta
    self.scaling = scaling
  }
}

extension RotaryEmbedding {
  /// What transformers takes where config.json says nothing.
  static let defaultTheta = 10_000.0

  init(_ config: ConfigReader) throws {
    let parameters = try config.objectIfPresent("rope_parameters")
    let theta = 1e-3...1e12
    self.theta =
      try parameters?.numberIfPresent("rope_theta", theta) ?? config.numberIfPresent("rope_theta", theta)
      ?? Self.defaultTheta
    try Self.requireWholeHeads(config)
    if let parameters {
      try Self.requireWholeHeads(parameters)
      scaling = try Self.scaling(parameters, typeIfAbsent: "default")
    } else {
      scaling = try config.objectIfPresent("rope_scaling").map { try Self.scaling($0) } ?? .none
    }
  }

  /// Some architectures turn only part of a head's channels, which would go unnoticed here.
  private static func requireWholeHeads(_ config: ConfigReader) throws {
    if let factor = try config.numberIfPresent("partial_rotary_factor", 0...1), factor != 1 {
      throw config.mismatch("partial_rotary_factor", "1: all channels of a head turn", "\(factor)")
    }
  }

  private static func scaling(_ config: ConfigReader, typeIfAbsent: String? = nil) throws -> Scaling {
    // `type` is the older name of `rope_type`.
    let key = config.has("rope_type") || !config.has("type") ? "rope_type" : "type"
    let factors = 1e-3...1e6
    switch try config.textIfPresent(key) ?? typeIfAbsent ?? config.text(key) {
    case "default":
      return .none
    case "linear":
      return .linear(factor: try config.number("factor", factors))
    case "llama3":
      let low = try config.number("low_freq_factor", factors)
      let high = try config.number("high_freq_factor", factors)
      guard low < high else {
        throw config.mismatch("high_freq_factor", "a number above low_freq_factor (\(low))", "\(high)")
      }
      return .llama3(
        factor: try config.number("factor", factors), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalPositions: try config.integer("original_max_position_embeddings", ModelConfig.positionLimits))
    case let other:
      throw config.mismatch(key, "default, linear or llama3", JSONValue.quoted(other))
    }
  }
}
