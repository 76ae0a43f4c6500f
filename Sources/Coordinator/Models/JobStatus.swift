import Foundation
import JobGraph

/// How far a job is, from its directory alone.
public struct JobStatus: Codable, Sendable {
  public struct Worker: Codable, Sendable {
    public let name: String
    public let host: String
    public let threads: Int
    /// What it has in hand, each as kind, block and part.
    public let tasks: [String]
    /// Tasks that it has done, and how many a minute: in the last one, or after the job over all its time.
    public let done: Int
    public let tasksPerMinute: Int
    /// Given nothing for now, because task after task failed on it.
    public let isSetAside: Bool
  }

  public struct Quarantined: Codable, Sendable {
    /// Kind, block and part: "fit 3/6".
    public let task: String
    /// Names of the workers that were lost with it.
    public let workers: String
  }

  public enum State: String, Codable, Sendable {
    case running
    case finished
    case failed
    /// Running by its record, but no coordinator has it.
    case interrupted

    fileprivate init(_ state: JobRecord.State, isHeld: Bool) {
      // A coordinator whose job has ended may still be on its way out.
      self =
        switch state {
        case .running: isHeld ? .running : .interrupted
        case .finished: .finished
        case .failed: .failed
        }
    }
  }

  public let state: State
  public let model: String
  /// nil for an evaluation, as are all counts but its own.
  public let output: String?
  public let endpoint: String?
  /// As its coordinator said last; nil if none has.
  public let phase: JobPhase?
  /// Share of the work that is done, 0 to 1; nil if no coordinator has said.
  public let progress: Double?
  /// Of the model, in all; nil if no coordinator has said.
  public let blocks: Int?
  public let linears: Int?
  public let collectedBlocks: Int?
  public let fits: Int?
  public let mergedBlocks: Int?
  /// nil in a job that does not tune.
  public let tunedBlocks: Int?
  /// Steps of the distillation, done and in all; nil in a job that does not distill.
  public let distilledSteps: Int?
  public let distillationSteps: Int?
  public let verifiedBlocks: Int?
  /// Windows of an evaluation, done and in all.
  public let evaluatedWindows: Int?
  public let windows: Int?
  public let seconds: Double
  /// Tasks finished in the last minute; after the job those of a minute over all its time.
  public let tasksPerMinute: Double?
  /// Seconds to the end by the rate so far; nil while there is none.
  public let remainingSeconds: Double?
  /// Attempts at tasks that had been given out before.
  public let retries: Int
  /// Those that are part of the job, or after it all that were.
  public let workers: [Worker]
  /// Tasks that the running coordinator, or the last one, gave out no more.
  public let quarantined: [Quarantined]
  /// Attempts by kind and outcome, or "running".
  public let attempts: [String: [String: Int]]

  /// - Throws: ``CoordinatorError`` if there is no job.
  public init(job directory: String) throws {
    let (store, record, isHeld) = try Self.open(directory)
    let evaluation = EvaluationOptions(json: record.options)
    let options = evaluation == nil ? try JobOptions(json: record.options, path: directory) : nil
    let results = try store.results()
    func count(_ kind: StoredResult.Kind, if isCounted: Bool) -> Int? {
      isCounted ? results.count { $0.kind == kind } : nil
    }
    state = State(record.state, isHeld: isHeld)
    let isRunning = state == .running
    model = evaluation?.model ?? options?.model ?? ""
    output = options?.output
    endpoint = isRunning ? record.endpoint : nil
    let pace = try store.pace()
    phase = pace?.phase
    progress = pace?.progress
    let made = options == nil ? nil : pace
    (blocks, linears, collectedBlocks) = (made?.blocks, made?.linears, made?.collectedBlocks)
    let known = try store.workers(activeOnly: isRunning)
    tasksPerMinute = isRunning ? pace?.tasksPerMinute : record.perMinute(known.reduce(0) { $0 + $1.done })
    remainingSeconds = isRunning ? pace?.remainingSeconds : nil
    retries = try store.retries()
    fits = count(.fit, if: options != nil)
    mergedBlocks = count(.merge, if: options != nil)
    tunedBlocks = count(.tune, if: options.map { $0.tuneEpochs > 0 } ?? false)
    distilledSteps = count(.update, if: options?.distillEpochs != nil)
    distillationSteps = options?.distillEpochs == nil ? nil : pace?.distillationSteps
    verifiedBlocks = count(.verify, if: options != nil)
    evaluatedWindows = count(.evaluate, if: evaluation != nil)
    windows = evaluation?.windows
    seconds = record.seconds
    let setAside = try store.workersSetAside()
    workers = known.map {
      isRunning ? Worker($0, isSetAside: setAside.contains($0.name)) : Worker($0, ofEnded: record)
    }
    quarantined = try store.quarantine().map { Quarantined(task: $0.task, workers: $0.workers) }
    attempts = try store.attemptCounts()
  }

  /// The database of a job, its row, and whether a coordinator has it.
  private static func open(_ directory: String) throws -> (store: JobStore, record: JobRecord, isHeld: Bool) {
    guard JobDirectory.holdsJob(directory) else {
      throw CoordinatorError.badInput("\(directory): holds no job; start one with crvq-coord launch")
    }
    let store = try JobStore(path: JobDirectory.databasePath(in: directory), readOnly: true)
    // Asked before the record is read: the coordinator of a job that has just ended may be gone a moment later.
    let isHeld = JobDirectory.isHeld(directory)
    return (store, try store.requireJob(), isHeld)
  }
}

extension JobStatus.Worker {
  /// Of a job that runs.
  fileprivate init(_ known: JobStore.KnownWorker, isSetAside: Bool) {
    self.init(
      name: known.name, host: known.host, threads: known.threads, tasks: known.tasks, done: known.done,
      tasksPerMinute: known.doneOfLate, isSetAside: isSetAside)
  }

  /// Of a job without a coordinator.
  fileprivate init(_ known: JobStore.KnownWorker, ofEnded job: JobRecord) {
    self.init(
      name: known.name, host: known.host, threads: known.threads, tasks: [], done: known.done,
      tasksPerMinute: Int(job.perMinute(known.done).rounded()), isSetAside: false)
  }
}

extension JobRecord {
  /// So many tasks, as a rate over all the job's time.
  fileprivate func perMinute(_ tasks: Int) -> Double {
    let minutes = seconds / 60
    return minutes > 0 ? Double(tasks) / minutes : 0
  }
}
