import JobGraph
import Testing

/// Tasks that fail again and again: who is to blame, and when the job is given up.
@Suite struct RepeatedFailureTests {
  private let one = WorkerID("one")
  private let two = WorkerID("two")
  private let three = WorkerID("three")
  /// The window that is evaluated first.
  private let first = TaskID.evaluate(shard: 0)

  /// An evaluation told second by second.
  private struct Run {
    private struct Attempt {
      let worker: WorkerID
      let task: TaskID
      let end: Int
    }

    var scheduler: Scheduler
    /// Seconds that a task takes that succeeds; one that fails takes one.
    let duration: Int
    /// On this worker tasks do not get on, and do not end.
    let stuck: WorkerID?
    /// This worker takes no task, and says nothing of it.
    let deaf: WorkerID?
    let fails: (WorkerID, TaskID) -> Bool
    private(set) var second = 0
    private(set) var end: SchedulerAction?
    private(set) var setAside: Set<WorkerID> = []
    /// Who tried what, in order.
    private(set) var tries: [TaskID: [WorkerID]] = [:]
    private var running: [Lease: Attempt] = [:]

    init(
      windows: Int, duration: Int, stuck: WorkerID? = nil, deaf: WorkerID? = nil,
      fails: @escaping (WorkerID, TaskID) -> Bool
    ) {
      scheduler = Scheduler(plan: .evaluation(windows: windows))
      self.duration = duration
      self.stuck = stuck
      self.deaf = deaf
      self.fails = fails
    }

    mutating func go(_ workers: [WorkerID], until limit: Int) {
      for worker in workers where !scheduler.knows(worker) { tell(.joined(worker, slots: 1)) }
      while end == nil, second < limit {
        second += 1
        for (lease, attempt) in running.sorted(by: { $0.key < $1.key }) { goOn(lease, attempt) }
        for worker in workers {
          let held = running.filter { $0.value.worker == worker }.mapValues(\.task)
          tell(.heard(worker, holding: held))
        }
        tell(.tick)
      }
    }

    private mutating func goOn(_ lease: Lease, _ attempt: Attempt) {
      let (worker, task) = (attempt.worker, attempt.task)
      if worker == stuck { return }
      if second < attempt.end { return tell(.progressed(worker, task, lease)) }
      running[lease] = nil
      let hasFailed = fails(worker, task)
      tell(hasFailed ? .failed(worker, task, lease, .other("no")) : .finished(worker, task, lease, outputs: []))
    }

    private mutating func tell(_ event: SchedulerEvent) {
      for action in scheduler.handle(event, at: .seconds(second)) {
        switch action {
        case .assign(let worker, let task, let lease, _):
          tries[task, default: []].append(worker)
          if worker == deaf { continue }
          running[lease] = Attempt(worker: worker, task: task, end: second + (fails(worker, task) ? 1 : duration))
        case .store(let task, let lease, _, _): tell(.stored(task, lease))
        case .setAside(let worker, _, _): setAside.insert(worker)
        case .assemble: tell(.assembled)
        case .finish, .stop: end = action
        default: break
        }
      }
    }
  }

  private func isExhausted(_ task: TaskID, _ run: Run) -> Bool {
    if case .stop(.attemptsExhausted(task, _)) = run.end { true } else { false }
  }

  /// As one whose disk is full, while the others are busy for long.
  @Test func oneBrokenWorkerDoesNotEndAJobThatOthersCanDo() {
    let (one, two, three) = (one, two, three)
    var run = Run(windows: 3, duration: 600) { worker, _ in worker == one }
    run.go([one, two, three], until: 590)
    let tries = run.tries[first] ?? []
    #expect(run.end == nil)
    #expect(run.setAside == [one])
    // It would have been given up; and the worker has it ever more rarely.
    #expect(tries.count > run.scheduler.policy.attemptsPerTask && tries.count < 10)
    #expect(Set(tries) == [one])
    run.go([one, two, three], until: 1300)
    #expect(run.end == .finish)
    #expect(run.tries[first]?.last != one)
  }

  @Test func aloneAWorkerHasATaskNoMoreOftenThanTheLimit() {
    var run = Run(windows: 1, duration: 1) { _, _ in true }
    run.go([one], until: 100)
    #expect(isExhausted(first, run))
    #expect(run.tries[first]?.count == run.scheduler.policy.attemptsPerTask)
  }

  @Test(arguments: [2, 3])
  func aTaskThatFailsOnEveryWorkerEndsTheJob(workers: Int) {
    let first = first
    var run = Run(windows: 10, duration: 20) { _, task in task == first }
    run.go(Array([one, two, three].prefix(workers)), until: 600)
    #expect(isExhausted(first, run))
    #expect(Set(run.tries[first] ?? []).count >= 2)
    #expect(run.tries[first]?.count == run.scheduler.policy.attemptsPerTask)
  }

  /// Its slot is filled for good, by a task whose lease is over.
  @Test func aWorkerThatIsStuckIsNotWaitedFor() {
    let second = TaskID.evaluate(shard: 1)
    var run = Run(windows: 2, duration: 1, stuck: two) { _, task in task == second }
    run.go([two, one], until: 1000)
    #expect(isExhausted(second, run))
    // Once more than the limit, when it turns out that the other is stuck.
    #expect(run.tries[second] == Array(repeating: one, count: run.scheduler.policy.attemptsPerTask + 1))
  }

  @Test func aWorkerThatIsSetAsideIsWaitedFor() {
    let two = two
    let hard = TaskID.evaluate(shard: 5)
    // On the second all fails at first, and nothing later; on the first this one alone.
    var run = Run(windows: 100, duration: 1) { worker, task in
      worker == two ? task < .evaluate(shard: 3) : task == hard
    }
    run.go([two], until: 3)
    #expect(run.setAside == [two])
    run.go([one, two], until: 1000)
    let tries = run.tries[hard] ?? []
    #expect(run.end == .finish)
    #expect(tries.last == two)
    #expect(tries.dropLast() == Array(repeating: one, count: tries.count - 1)[...])
    #expect(tries.count > run.scheduler.policy.attemptsPerTask)
  }

  @Test func aWorkerThatTakesNothingIsSetAsideAndNotWaitedFor() {
    let first = first
    var run = Run(windows: 3, duration: 1, deaf: two) { _, task in task == first }
    run.go([one, two], until: 1000)
    #expect(isExhausted(first, run))
    #expect(run.setAside.contains(two))
  }
}
