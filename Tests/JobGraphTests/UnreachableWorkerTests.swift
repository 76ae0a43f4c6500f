import JobGraph
import Testing

/// A worker that speaks with the coordinator, and whose artifacts nobody can fetch.
@Suite struct UnreachableWorkerTests {
  /// The first in order, so that it is asked first.
  private let unreachable = WorkerID("a")
  private let other = WorkerID("b")

  /// A job in which all else goes well, told round by round, a second each.
  private struct Run {
    var scheduler: Scheduler
    let unreachable: WorkerID
    var coming: [SchedulerEvent]
    var holding: [WorkerID: [Lease: TaskID]] = [:]
    var setAside: Set<WorkerID> = []
    var end: SchedulerAction?

    mutating func go(_ workers: [WorkerID]) {
      for worker in workers { holding[worker] = [:] }
      for second in 0..<1000 where end == nil {
        let events = coming
        coming = []
        let beats = workers.map { SchedulerEvent.heard($0, holding: holding[$0] ?? [:]) }
        for event in events + beats + [.tick] {
          for action in scheduler.handle(event, at: .seconds(second)) { perform(action) }
        }
      }
    }

    private mutating func perform(_ action: SchedulerAction) {
      switch action {
      case .assign(let worker, let task, let lease, let inputs):
        let missing = inputs.first { $0.holder == .worker(unreachable) && worker != unreachable }
        if let missing {
          coming.append(.failed(worker, task, lease, .missingArtifact(digest: missing.artifact.digest)))
        } else {
          coming.append(.finished(worker, task, lease, outputs: outputs(of: task)))
        }
      case .store(let task, let lease, let worker, let outputs):
        coming.append(
          worker == unreachable && !outputs.isEmpty
            ? .storeFailed(task, lease, reason: "no answer") : .stored(task, lease))
      case .merge(let block): coming.append(.merged(block: block, artifact(ArtifactRef.packedName, "merged \(block)")))
      case .assemble: coming.append(.assembled)
      case .setAside(let worker, _, _): setAside.insert(worker)
      case .finish, .stop: end = action
      default: break
      }
    }

    private func outputs(of task: TaskID) -> [ArtifactRef] {
      switch task {
      case .collect: [artifact(ArtifactRef.gramName("attn_in"), "gram of \(task)")]
      case .fit: [artifact(ArtifactRef.packedName, "\(task)")]
      default: []
      }
    }

    private func artifact(_ name: String, _ digest: String) -> ArtifactRef {
      ArtifactRef(name: name, digest: digest, size: 1)
    }
  }

  private func run(_ workers: [WorkerID]) -> Run {
    let plan = JobPlan(
      blockCount: 6, linears: [JobPlan.Linear(name: "q", site: "attn_in", outFeatures: 8, inFeatures: 8)],
      shards: JobPlan.slice(sequences: 9, heldOut: 1, count: 9), propagation: .teacher)
    var run = Run(
      scheduler: Scheduler(plan: plan), unreachable: unreachable, coming: workers.map { .joined($0, slots: 1) })
    run.go(workers)
    return run
  }

  @Test func theOthersDoTheJobWithoutIt() {
    let run = run([unreachable, other])
    #expect(run.end == .finish)
    #expect(run.setAside == [unreachable])
  }

  @Test func aloneItIsNotTriedForEver() {
    let run = run([unreachable])
    guard case .stop(.attemptsExhausted(_, let reason)) = run.end else {
      Issue.record("ended with \(String(describing: run.end))")
      return
    }
    #expect(reason == "no answer")
  }
}
