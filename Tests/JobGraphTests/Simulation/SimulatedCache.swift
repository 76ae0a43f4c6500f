import JobGraph
import TestSupport

/// What lies on a worker's disk: it outlives the process, if not always unharmed.
struct SimulatedCache {
  /// The process that had it last.
  var owner: WorkerID
  /// Digests that can be had.
  var held: Set<String> = []
  /// Digests of files that are there with other bytes: seen only when they are read.
  private var damaged: Set<String> = []
  /// Records of passes, with all their outputs.
  private var passes: [TaskID: [ArtifactRef]] = [:]

  init(owner: WorkerID) { self.owner = owner }

  mutating func add(_ task: TaskID, _ outputs: [ArtifactRef]) {
    let digests = outputs.map(\.digest)
    held.formUnion(digests)
    damaged.subtract(digests)
    if task.kind == .collect || task.kind == .recollect { passes[task] = outputs }
  }

  mutating func remove(_ artifacts: [ArtifactRef]) {
    held.subtract(artifacts.map(\.digest))
    damaged.subtract(artifacts.map(\.digest))
  }

  /// As the worker finds it by the names of files.
  var inventory: [TaskID: [ArtifactRef]] {
    let present = held.union(damaged)
    return passes.mapValues { $0.filter { present.contains($0.digest) } }.filter { !$0.value.isEmpty }
  }

  /// What may come of it while no process has it.
  mutating func decay(_ faults: SimulatedFaults, _ random: inout SplitMix) {
    for digest in held.sorted() {
      if random.chance(faults.cacheLossChance) { held.remove(digest) }
      if random.chance(faults.cacheDamageChance), held.remove(digest) != nil { damaged.insert(digest) }
    }
    for task in passes.keys.sorted() where random.chance(faults.cacheLossChance) { passes[task] = nil }
  }
}
