import Checkpoint

/// The sizes and options of a decoder of pre-norm blocks: RMSNorm, rotary grouped-query attention, SwiGLU.
///
/// An architecture translates its configuration into this; everything else in the module works from it.
public struct DecoderShape: Sendable, Equatable {
  public var blockCount: Int
  /// The width of the residual stream.
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var headCount: Int
  /// Each key-value head serves `headCount / keyValueHeadCount` query heads.
  public var keyValueHeadCount: Int
  /// Values a head; even. Need not be hiddenSize / headCount.
  public var headDimension: Int
  public var vocabularySize: Int
  public var normEpsilon: Float
  public var rotary: RotaryEmbedding
  /// The linears that add a bias.
  public var biased: Set<LinearRole> = []
  /// Whether the head's matrix is the embedding matrix.
  public var isHeadTied: Bool
  /// The longest sequence for which causal attention over everything is what the model computes; nil if any.
  public var lengthMax: Int?

  /// The width of all query heads together.
  public var queryWidth: Int { headCount * headDimension }
  /// The width of all key (or value) heads together.
  public var keyValueWidth: Int { keyValueHeadCount * headDimension }

  /// The number of channels at a site.
  public func width(of site: Site) -> Int {
    switch site {
    case .attentionInput, .mlpInput: hiddenSize
    case .attentionOutput: queryWidth
    case .mlpHidden: intermediateSize
    }
  }

  /// The linears of a block, in the order of the forward pass: the same for every block.
  public var linears: [LinearSpec] { LinearRole.allCases.map(linear) }

  /// A linear's specification.
  public func linear(_ role: LinearRole) -> LinearSpec {
    let outFeatures =
      switch role {
      case .query: queryWidth
      case .key, .value: keyValueWidth
      case .gate, .up: intermediateSize
      case .output, .down: hiddenSize
      }
    return LinearSpec(
      role: role, outFeatures: outFeatures, inFeatures: width(of: role.site), hasBias: biased.contains(role))
  }
}
