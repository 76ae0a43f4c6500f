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
    try Self.requireWholeHeads(config)
    let older = try Self.embedding("rope_scaling", of: config)
    let newer = try Self.embedding("rope_parameters", of: config)
    // transformers takes the older one without a word; whoever added it may not have known.
    if let older, let newer, older != newer {
      throw config.mismatch("rope_scaling", "nothing, or what rope_parameters says", "another embedding")
    }
    self = try newer ?? older ?? RotaryEmbedding(theta: Self.theta(config) ?? Self.defaultTheta, scaling: .none)
  }

  /// What one of the two objects says; nil if there is none, or nothing in it.
  private static func embedding(_ key: String, of config: ConfigReader) throws -> RotaryEmbedding? {
    guard let parameters = try config.objectIfPresent(key), !parameters.isEmpty else { return nil }
    return try RotaryEmbedding(parameters, within: config)
  }

  /// By one of the two objects, which may have the base as well.
  private init(_ parameters: ConfigReader, within config: ConfigReader) throws {
    // Some architectures have an embedding for each type of layer, of which nothing would be read here.
    try parameters.requireNoObjects("one rotary embedding for all layers")
    try Self.requireWholeHeads(parameters)
    theta = try Self.theta(parameters) ?? Self.theta(config) ?? Self.defaultTheta
    scaling = try Self.scaling(parameters, within: config)
  }

  private static func theta(_ config: ConfigReader) throws -> Double? {
    try config.numberIfPresent("rope_theta", 1e-3...1e12)
  }

  /// Some architectures turn only part of a head's channels, which would go unnoticed here.
  private static func requireWholeHeads(_ config: ConfigReader) throws {
    if let factor = try config.numberIfPresent("partial_rotary_factor", 0...1), factor != 1 {
      throw config.mismatch("partial_rotary_factor", "1: all channels of a head turn", "\(factor)")
    }
  }

  private static func scaling(_ parameters: ConfigReader, within config: ConfigReader) throws -> Scaling {
    // `type` is the older name of `rope_type`.
    let key = parameters.has("rope_type") || !parameters.has("type") ? "rope_type" : "type"
    let factors = 1e-3...1e6
    switch try parameters.textIfPresent(key) ?? "default" {
    case "default":
      return .none
    case "linear":
      return .linear(factor: try parameters.number("factor", factors))
    case "llama3":
      let low = try parameters.number("low_freq_factor", factors)
      let high = try parameters.number("high_freq_factor", factors)
      guard low < high else {
        throw parameters.mismatch("high_freq_factor", "a number above low_freq_factor (\(low))", "\(high)")
      }
      return .llama3(
        factor: try parameters.number("factor", factors), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalPositions: try originalPositions(parameters, within: config))
    case let other:
      throw parameters.mismatch(key, "default, linear or llama3", JSONValue.quoted(other))
    }
  }

  /// In the order of transformers: what stands beside the object comes before what stands in it.
  private static func originalPositions(_ parameters: ConfigReader, within config: ConfigReader) throws -> Int {
    let (key, limits) = ("original_max_position_embeddings", ModelConfig.positionLimits)
    if let positions = try config.wholeNumberIfPresent(key, limits) { return positions }
    if let positions = try parameters.wholeNumberIfPresent(key, limits) { return positions }
    if let positions = try config.integerIfPresent("max_position_embeddings", limits) { return positions }
    return try parameters.integer(key, limits)
  }
}
