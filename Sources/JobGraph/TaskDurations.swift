/// How long tasks took of late, by what they are.
struct TaskDurations: Sendable {
  /// Tasks that take about as long as each other on the same machine.
  private enum Workload: Hashable {
    case collect
    case recollect
    case fit(linear: Int)
    case tune
    /// Micro-batches of one step; those of another may be measured only.
    case distill(step: Int)
    case update
    case verify
    case evaluate
  }

  /// The latest of a workload that are remembered.
  private static let memory = 15
  /// With fewer nothing is usual.
  private static let fewest = 3

  private var latest: [Workload: [Duration]] = [:]

  mutating func add(_ duration: Duration, of task: TaskID) {
    let before = latest[Self.workload(of: task)] ?? []
    latest[Self.workload(of: task)] = (before + [duration]).suffix(Self.memory)
  }

  /// The median; nil while too few are known.
  func usual(for task: TaskID) -> Duration? {
    guard count(of: task) >= Self.fewest else { return nil }
    return latest[Self.workload(of: task)].map { $0.sorted()[$0.count / 2] }
  }

  private func count(of task: TaskID) -> Int { latest[Self.workload(of: task)]?.count ?? 0 }

  private static func workload(of task: TaskID) -> Workload {
    switch task {
    case .collect: .collect
    case .recollect: .recollect
    case .fit(_, let linear): .fit(linear: linear)
    case .tune: .tune
    case .distill(let step, _): .distill(step: step)
    case .update: .update
    case .verify: .verify
    case .evaluate: .evaluate
    }
  }
}
