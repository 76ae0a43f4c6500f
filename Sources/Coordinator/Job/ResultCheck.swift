import Messaging

/// What an earlier coordinator brought home, parted into what is unharmed and what has to be made again.
package struct ResultCheck {
  package private(set) var kept: [StoredResult] = []
  package private(set) var lost: [(result: StoredResult, reason: String)] = []

  /// - Parameter linears: how many a block has.
  /// - Throws: ``CoordinatorError`` for a digest that is none. Files that are found to be damaged are removed.
  package init(_ results: [StoredResult], in artifacts: ArtifactStore, linears: Int) throws {
    for (_, block) in Dictionary(grouping: results.filter { $0.kind != .update }, by: \.block).sorted(by: {
      $0.key < $1.key
    }) {
      let (made, verified) = (block.filter { $0.kind != .verify }, block.filter { $0.kind == .verify })
      let reasons = try made.map { try Self.harm($0, artifacts) }
      let harmed = zip(made, reasons).filter { $0.1 != nil }.map(\.0)
      let lacksRecords = harmed.contains { !$0.isIntact } || Self.lacksRecords(made, linears)
      let needed: Set = lacksRecords ? [.fit, .merge, .tune] : Self.needed(of: made, harmed)
      let count = lost.count
      for (result, reason) in zip(made, reasons) {
        // Made of what is made again: the same bytes, so the record may differ in the time it took only.
        if needed.contains(result.kind), let reason {
          lose(result, reason)
        } else if lacksRecords, result.kind != .fit {
          lose(result, "what it was made of is made again")
        } else {
          kept.append(result)
        }
      }
      for result in verified {
        if !result.isIntact {
          lose(result, "its row in the job database has changed")
        } else if lost.count > count {
          // It stands for the bytes it saw.
          lost.append((result, "block \(result.block) is verified again"))
        } else {
          kept.append(result)
        }
      }
    }
    try checkDistillation(results.filter { $0.kind == .update }, artifacts)
  }

  /// A distillation lives by what its last step left, and by the codes of all blocks. Without either it begins again, and what
  /// was verified behind it too.
  private mutating func checkDistillation(_ updates: [StoredResult], _ artifacts: ArtifactStore) throws {
    let steps = updates.sorted { $0.part < $1.part }
    guard let last = steps.last else { return }
    let isWhole = steps.map(\.part) == Array(steps.indices) && steps.allSatisfy(\.isIntact)
    let reason: String?
    if lost.contains(where: { $0.result.kind != .verify }) {
      reason = "a block is made again"
    } else {
      reason = isWhole ? try Self.harm(last, artifacts) : "rows in the job database have changed"
    }
    guard let reason else {
      kept += steps
      return
    }
    lost.append((last, "the distillation begins again: \(reason)"))
    lost += steps.dropLast().map { ($0, "step \($0.part) of it is made again") }
    for result in kept where result.kind == .verify { lost.append((result, "block \(result.block) is verified again")) }
    kept.removeAll { $0.kind == .verify }
  }

  private mutating func lose(_ result: StoredResult, _ reason: String) {
    lost.append((result, "\(result.kind.rawValue) of block \(result.block) is made again: \(reason)"))
  }

  /// Why a result does not count any more; nil if it does.
  private static func harm(_ result: StoredResult, _ artifacts: ArtifactStore) throws -> String? {
    if !result.isIntact { return "its row in the job database has changed" }
    guard let artifact = result.artifact else { return nil }
    do {
      _ = try artifacts.verifiedPath(of: artifact)
      return nil
    } catch let error as ArtifactError {
      return "\(error)"
    }
  }

  /// Whether there is a result without those it was made of: a row that is changed in its key is no longer found under it.
  private static func lacksRecords(_ made: [StoredResult], _ linears: Int) -> Bool {
    func count(_ kind: StoredResult.Kind) -> Int { made.count { $0.kind == kind } }
    return count(.merge) > 0 && count(.fit) < linears || count(.tune) > count(.merge)
  }

  /// The kinds whose artifacts the block needs. What went into a result that is there is not needed any more.
  private static func needed(of made: [StoredResult], _ harmed: [StoredResult]) -> Set<StoredResult.Kind> {
    func isThere(_ kind: StoredResult.Kind) -> Bool {
      made.contains { $0.kind == kind } && !harmed.contains { $0.kind == kind }
    }
    if isThere(.tune) { return [.tune] }
    return isThere(.merge) ? [.merge, .tune] : [.fit, .merge, .tune]
  }
}
