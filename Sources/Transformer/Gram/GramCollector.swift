import Numerics

/// A ``SiteObserver`` that accumulates the Gram matrices of some sites of a block.
public final class GramCollector: SiteObserver {
  private let accumulators: [Site: GramAccumulator]

  public var sites: Set<Site> { Set(accumulators.keys) }

  /// Zero, for the given sites of blocks of `shape`.
  public init(sites: Set<Site> = Set(Site.allCases), shape: DecoderShape) {
    accumulators = Dictionary(
      uniqueKeysWithValues: sites.map { ($0, GramAccumulator(width: shape.width(of: $0))) })
  }

  public func observe(_ activations: SiteActivations, team: ThreadTeam) {
    accumulators[activations.site]?.add(
      activations.values, sequences: activations.sequences, length: activations.length, team: team)
  }

  /// What a site's sum is so far.
  ///
  /// - Throws: ``TransformerError`` if the site was not asked for, nothing was run, or a sum is not finite.
  public func partial(_ site: Site) throws -> PartialGram {
    guard let accumulator = accumulators[site] else {
      throw TransformerError(.invalidInput, "Gram matrix of \(site.rawValue): this site was not collected")
    }
    return try accumulator.partial()
  }
}
