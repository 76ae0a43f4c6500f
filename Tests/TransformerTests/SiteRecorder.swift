import Numerics
import Transformer

/// Keeps a copy of the activations that it is shown.
final class SiteRecorder: SiteObserver {
  let sites: Set<Site>
  private(set) var values: [Site: [Float]] = [:]
  /// How many sequences each call brought.
  private(set) var groups: [Site: [Int]] = [:]

  init(_ sites: Set<Site>) { self.sites = sites }

  func observe(_ activations: SiteActivations, team: ThreadTeam) {
    let count = activations.rows * activations.width
    groups[activations.site, default: []].append(activations.sequences)
    values[activations.site, default: []] += UnsafeBufferPointer(start: activations.values, count: count)
  }
}
