import JobGraph

/// What survives a crash of the coordinator.
struct SimulatedStore {
  /// Digests of fits and tunes, "" for what has none.
  private(set) var results: [TaskID: String] = [:]
  private(set) var merged: [Int: ArtifactRef] = [:]
  /// How often each was written. More than once is a violation.
  private(set) var writes: [TaskID: Int] = [:]
  var nextLease: UInt64 = 1

  /// Leases set aside for one coordinator.
  static let leasesReserved: UInt64 = 1 << 32

  mutating func write(_ task: TaskID, _ outputs: [ArtifactRef]) {
    writes[task, default: 0] += 1
    results[task] = outputs.first?.digest ?? ""
  }

  mutating func writeMerged(_ block: Int) {
    merged[block] = Self.packed(digest: "merged \(block)")
  }

  /// A coordinator that goes on from here.
  mutating func scheduler(_ plan: JobPlan, _ policy: SchedulerPolicy) -> Scheduler {
    let fits = results.filter { $0.key.kind == .fit }.mapValues { Self.packed(digest: $0) }
    let verified = results.keys.filter { $0.kind == .verify }.map(\.block)
    let evaluated = (0..<plan.evaluationCount).filter { results[.evaluate(shard: $0)] != nil }
    let tuned = results.filter { $0.key.kind == .tune }.map { ($0.key.block, Self.packed(digest: $0.value)) }
    let steps = results.keys.filter { $0.kind == .update }.count
    let updated = results[.update(step: steps - 1)].map {
      ArtifactRef(name: ArtifactRef.parametersName, digest: $0, size: 1)
    }
    let scheduler = Scheduler(
      plan: plan, policy: policy, fitted: fits, merged: merged,
      tuned: Dictionary(uniqueKeysWithValues: tuned), updated: updated, stepsDone: steps, verified: Set(verified),
      evaluated: Set(evaluated),
      firstLease: nextLease)
    nextLease += Self.leasesReserved
    return scheduler
  }

  private static func packed(digest: String) -> ArtifactRef {
    ArtifactRef(name: ArtifactRef.packedName, digest: digest, size: 1)
  }
}
