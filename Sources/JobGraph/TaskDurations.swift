/// How long tasks took of late, by what they are and who did them.
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

    init(_ task: TaskID) {
      self =
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

  private struct Sample {
    let worker: WorkerID
    let duration: Duration
  }

  /// The latest of a workload that are remembered.
  private static let memory = 15
  /// With fewer nothing is usual.
  private static let fewest = 3

  /// The cost of each linear's fit, in any unit.
  private let fitCosts: [Double]
  private var latest: [Workload: [Sample]] = [:]

  init(fitCosts: [Double]) { self.fitCosts = fitCosts }

  mutating func add(_ duration: Duration, of task: TaskID, by worker: WorkerID) {
    let before = latest[Workload(task)] ?? []
    latest[Workload(task)] = (before + [Sample(worker: worker, duration: duration)]).suffix(Self.memory)
  }

  /// The median of what other workers took: one that is always slow is not to be measured by itself. Where they have not done
  /// the like, twice that of what their fits of other linears would have taken with this one's cost, which does not tell all; and
  /// at the last the worker's own.
  ///
  /// - Returns: nil while too few are known.
  func usual(for task: TaskID, besides worker: WorkerID) -> Duration? {
    let like = latest[Workload(task)] ?? []
    return Self.median(like.filter { $0.worker != worker }.map(\.duration))
      ?? Self.median(otherFits(than: task, besides: worker)) ?? Self.median(like.map(\.duration))
  }

  private func otherFits(than task: TaskID, besides worker: WorkerID) -> [Duration] {
    guard case .fit(_, let linear) = task else { return [] }
    return fitCosts.indices.flatMap { other in
      (latest[.fit(linear: other)] ?? []).filter { $0.worker != worker }
        .map { $0.duration * (2 * fitCosts[linear] / fitCosts[other]) }
    }
  }

  private static func median(_ durations: [Duration]) -> Duration? {
    durations.count < fewest ? nil : durations.sorted()[durations.count / 2]
  }
}
