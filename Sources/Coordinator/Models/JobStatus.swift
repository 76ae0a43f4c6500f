import Foundation
import JobGraph

/// How far a job is, from its directory alone.
public struct JobStatus: Codable, Sendable {
  public struct Worker: Codable, Sendable {
    public let name: String
    public let host: String
    public let tasks: [String]
    /// Given nothing for now, because task after task failed on it.
    public let isSetAside: Bool
  }

  public struct Quarantined: Codable, Sendable {
    /// Kind, block and part: "fit 3/6".
    public let task: String
    /// Names of the workers that were lost with it.
    public let workers: String
  }

  /// running, finished, failed, or interrupted: running by its record, but no coordinator has it.
  public let state: String
  public let model: String
  /// nil for an evaluation, as are all counts but its own.
  public let output: String?
  public let endpoint: String?
  public let fits: Int?
  public let mergedBlocks: Int?
  /// nil in a job that does not tune.
  public let tunedBlocks: Int?
  public let verifiedBlocks: Int?
  /// Windows of an evaluation, done and in all.
  public let evaluatedWindows: Int?
  public let windows: Int?
  public let seconds: Double
  public let workers: [Worker]
  /// Tasks that the running coordinator, or the last one, gave out no more.
  public let quarantined: [Quarantined]
  /// Attempts by kind and outcome.
  public let attempts: [String: [String: Int]]

  /// - Throws: ``CoordinatorError`` if there is no job.
  public init(job directory: String) throws {
    guard JobDirectory.holdsJob(directory) else {
      throw CoordinatorError.badInput("\(directory): holds no job; start one with crvq-coord launch")
    }
    let store = try JobStore(path: JobDirectory.databasePath(in: directory), readOnly: true)
    guard let record = try store.job() else {
      throw CoordinatorError.badInput("\(directory): the job was never started")
    }
    let evaluation = EvaluationOptions(json: record.options)
    let options = evaluation == nil ? try JobOptions(json: record.options, path: directory) : nil
    let results = try store.results()
    func count(_ kind: StoredResult.Kind, if isCounted: Bool) -> Int? {
      isCounted ? results.count { $0.kind == kind } : nil
    }
    let isHeld = JobDirectory.isHeld(directory)
    state = record.state == .running && !isHeld ? "interrupted" : record.state.rawValue
    model = evaluation?.model ?? options?.model ?? ""
    output = options?.output
    endpoint = isHeld ? record.endpoint : nil
    fits = count(.fit, if: options != nil)
    mergedBlocks = count(.merge, if: options != nil)
    tunedBlocks = count(.tune, if: options.map { $0.tuneEpochs > 0 } ?? false)
    verifiedBlocks = count(.verify, if: options != nil)
    evaluatedWindows = count(.evaluate, if: evaluation != nil)
    windows = evaluation?.windows
    seconds = record.seconds
    let setAside = try store.workersSetAside()
    workers =
      isHeld
      ? try store.activeWorkers().map {
        Worker(name: $0.name, host: $0.host, tasks: $0.tasks, isSetAside: setAside.contains($0.name))
      } : []
    quarantined = try store.quarantine().map { Quarantined(task: $0.task, workers: $0.workers) }
    attempts = try store.attemptCounts().mapValues { outcomes in
      // Failures carry their reason; here they only count.
      outcomes.reduce(into: [:]) { $0[$1.key.hasPrefix("failed") ? "failed" : $1.key, default: 0] += $1.value }
    }
  }

  public var text: String {
    let counts = [
      fits.map { "\($0) linears fitted" },
      mergedBlocks.map { "\($0) blocks merged" },
      tunedBlocks.map { "\($0) tuned" },
      verifiedBlocks.map { "\($0) verified" },
      evaluatedWindows.map { "\($0) of \(windows ?? 0) windows evaluated" },
      seconds.asTime,
    ].compactMap { $0 }
    var lines = ["\(state): \(counts.joined(separator: ", "))", "model \(model)"]
    if let output { lines.append("output \(output)") }
    if let endpoint { lines.append("listening on \(endpoint)") }
    for worker in workers {
      let tasks = worker.tasks.isEmpty ? "idle" : worker.tasks.joined(separator: ", ")
      lines.append(
        "  \(worker.name.padded(to: 20)) \(worker.host.padded(to: 16)) \(tasks)"
          + (worker.isSetAside ? ", set aside" : ""))
    }
    for culprit in quarantined { lines.append("  quarantined \(culprit.task), lost with it: \(culprit.workers)") }
    for (kind, outcomes) in attempts.sorted(by: { $0.key < $1.key }) {
      let counts = outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
      lines.append("  \(kind) attempts: \(counts)")
    }
    return lines.joined(separator: "\n")
  }
}
