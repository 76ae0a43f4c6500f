import JobGraph
import Messaging

// What a result is made of is not needed once the result is stored: fits that are merged, merged blocks that are tuned, steps of
// a distillation that others have followed. So the coordinator's artifacts take the space of the packed model and, while a block
// is merged or tuned, of that block once more.
extension StoredResult {
  /// Digests of the artifacts that the job still needs.
  ///
  /// - Parameter results: all that are stored.
  package static func neededDigests(_ results: [StoredResult]) -> Set<String> {
    func blocks(_ kind: Kind) -> Set<Int> { Set(results.filter { $0.kind == kind }.map(\.block)) }
    let (merged, tuned) = (blocks(.merge), blocks(.tune))
    let lastStep = results.filter { $0.kind == .update }.map(\.part).max()
    let needed = results.filter { result in
      switch result.kind {
      case .fit: !merged.contains(result.block) && !tuned.contains(result.block)
      case .merge: !tuned.contains(result.block)
      case .update: result.part == lastStep
      case .tune, .verify, .evaluate: true
      }
    }
    return Set(needed.compactMap(\.digest))
  }
}

extension PreparedJob {
  /// Removes what a result that has just been stored was made of: the fits or the merged form of its block, or the step of a
  /// distillation before it.
  ///
  /// - Throws: ``CoordinatorError``, ``ArtifactError``.
  func removeSpent(by stored: StoredResult) throws {
    let results = try store.results()
    let needed = StoredResult.neededDigests(results)
    let spent = results.filter { result in
      stored.kind == .update
        ? result.kind == .update && result.part == stored.part - 1
        : result.kind != .update && result.block == stored.block
    }
    for digest in spent.compactMap(\.digest) where !needed.contains(digest) {
      if let digest = Digest(hex: digest) { try artifacts.remove(digest) }
    }
  }

  /// Removes artifacts that no stored result needs: a coordinator died before it could remove them, or before it had written down
  /// what they are.
  static func removeStrays(_ artifacts: ArtifactStore, keeping results: [StoredResult]) throws {
    let needed = StoredResult.neededDigests(results)
    for digest in artifacts.digests where !needed.contains(digest.hex) { try artifacts.remove(digest) }
  }
}
