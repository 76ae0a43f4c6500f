import Foundation
import Messaging
import Synchronization

/// Workers as a job array of Slurm, which finds the nodes, requeues what it preempts and what a lost node ran, and ends what
/// reaches its limit. What ends otherwise is asked for again.
public final class SlurmLauncher: WorkerLauncher {
  private static let period = Duration.seconds(2)
  private static let patience = 60.0
  /// In the job's directory.
  static let recordName = "slurm-array"

  private let script: SlurmScript
  /// Where the number of the array is kept, so that a later coordinator can cancel what this one left.
  private let record: String
  private let state = Mutex(State())
  private let watcher = DispatchGroup()

  private struct State {
    var job: String?
    var isStopping = false
  }

  /// - Parameters:
  ///   - program: of the workers, at a path that the nodes have too.
  ///   - jobDirectory: absolute, on a file system of the nodes too: logs of the workers go there.
  public init(
    program: String, _ place: LaunchPlan.Place, _ cluster: ClusterFile, keys: WorkerKeys, jobDirectory: String,
    logDirectory: String
  ) {
    script = SlurmScript(place, cluster, keys: keys, program: program, logDirectory: logDirectory)
    record = "\(jobDirectory)/\(Self.recordName)"
  }

  public func start(endpoint: String, report: @escaping @Sendable (LauncherEvent) -> Void) throws {
    if let old = try? String(contentsOfFile: record, encoding: .utf8) { cancel(old) }
    _ = try? Directory.make(script.logDirectory)
    let done = try script.submit(connecting: endpoint)
    // "ID" or "ID;CLUSTER".
    let job = done.output.trimmingCharacters(in: .whitespacesAndNewlines).prefix { $0 != ";" }
    guard done.end == .exited(0), !job.isEmpty, job.allSatisfy(\.isNumber) else {
      throw CoordinatorError.io("sbatch: \(done.lastError ?? "\(done.end)")")
    }
    state.withLock { $0.job = String(job) }
    try? String(job).write(toFile: record, atomically: true, encoding: .utf8)
    let (workers, threads) = (script.place.workers.counted("worker"), script.place.threads.counted("thread"))
    report(.note("Slurm job array \(job): \(workers) of \(threads)"))
    watcher.enter()
    let thread = Thread { [self] in
      watch(String(job), report)
      watcher.leave()
    }
    thread.name = "slurm"
    thread.start()
  }

  private func watch(_ job: String, _ report: @Sendable (LauncherEvent) -> Void) {
    var array = SlurmArray(count: script.place.workers)
    let start = ContinuousClock.now
    while !state.withLock({ $0.isStopping }) {
      Thread.sleep(forTimeInterval: Self.period / .seconds(1))
      let words = ["--noheader", "--array", "--states=all", "--jobs=\(job)", "--format=\(SlurmArray.Row.format)"]
      // A controller that does not answer for a while is no reason to give up: workers go on without it.
      guard
        let done = try? ShortProcess.run(
          "squeue", words, environment: SlurmArray.Row.environment, within: Self.patience),
        done.end == .exited(0)
      else { continue }
      for action in array.update(SlurmArray.Row.rows(squeue: done.output), at: .now - start) {
        if state.withLock({ $0.isStopping }) { return }
        switch action {
        case .note(let line): report(.note(line))
        case .outOfMemory(let worker): report(.outOfMemory(worker: worker, script.place))
        case .requeue(let index):
          let done = try? ShortProcess.run("scontrol", ["requeue", "\(job)_\(index)"], within: Self.patience)
          if let done, done.end != .exited(0) {
            report(.note("\(SlurmArray.worker(index)): scontrol requeue: \(done.lastError ?? "\(done.end)")"))
          }
        case .exhausted(let line): report(.exhausted(line))
        }
      }
    }
  }

  public func retire() { state.withLock { $0.isStopping = true } }

  public func stop() {
    let job = state.withLock { state in
      state.isStopping = true
      return state.job
    }
    if let job { cancel(job) }
    _ = watcher.wait(timeout: .now() + Self.patience)
    try? FileManager.default.removeItem(atPath: record)
  }

  private func cancel(_ job: String) {
    let number = job.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !number.isEmpty, number.allSatisfy(\.isNumber) else { return }
    _ = try? ShortProcess.run("scancel", ["--quiet", number], within: Self.patience)
  }
}
