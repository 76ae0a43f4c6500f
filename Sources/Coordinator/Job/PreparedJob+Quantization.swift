import Foundation
import Messaging

// Jobs that make a packed model.
extension PreparedJob {
  /// Checks that a job can have its directory and its output where they are to be, and makes nothing.
  ///
  /// - Throws: ``CoordinatorError`` `.usage` for a place that something else has, `.io` for one that cannot be written to.
  public static func checkPlaces(of options: JobOptions, in jobPath: String) throws {
    try UnfinishedDirectory.check(options.output)
    if "\(jobPath)/".hasPrefix("\(options.output)/") {
      throw CoordinatorError.usage("--job \(jobPath): lies in --output, which is made at the end; choose another --job")
    }
    try JobDirectory.check(jobPath)
  }

  /// Starts a job in a directory that holds none.
  ///
  /// - Throws: ``CoordinatorError``, ``CheckpointError``, ``TransformerError``, ``CRVQError``; nothing is left behind.
  public static func create(_ options: JobOptions, in jobPath: String) throws -> PreparedJob {
    try checkPlaces(of: options, in: jobPath)
    let inputs = try JobInputs(options)
    let directory = try JobDirectory(jobPath)
    do {
      let store = try JobStore(path: directory.databasePath)
      // A coordinator that died before the job's row was written leaves none.
      if let record = try store.job() { throw try refusal(options, inputs, record, jobPath) }
      try store.requireNoResults()
      return try PreparedJob(starting: options, inputs, in: directory, store)
    } catch {
      directory.discard()
      throw error
    }
  }

  /// Goes on with a job, with the options it was started with.
  ///
  /// - Returns: no job where it is finished, and its output in place.
  /// - Throws: as ``create(_:in:)``; ``CoordinatorError`` naming a model or token file that has changed since.
  public static func resume(_ jobPath: String) throws -> (job: PreparedJob?, options: JobOptions) {
    guard JobDirectory.holdsJob(jobPath) else {
      throw CoordinatorError.badInput("\(jobPath): holds no job; start one with crvq-coord launch")
    }
    let directory = try JobDirectory(jobPath)
    let store = try JobStore(path: directory.databasePath)
    try store.checkIntegrity()
    let record = try store.requireJob()
    if EvaluationOptions(json: record.options) != nil {
      throw CoordinatorError.usage("\(jobPath): is an evaluation, of which nothing is kept; start it again")
    }
    let options = try JobOptions(json: record.options, path: directory.databasePath)
    if UnfinishedDirectory.isTaken(options.output) {
      guard try record.isOutput(options) else {
        throw CoordinatorError.usage(options.outputIsTaken)
      }
      if record.state == .finished { return (nil, options) }
    }
    try options.checkMethod(directory.databasePath)
    let inputs = try JobInputs(options)
    if let change = inputs.differences(from: record, options).first {
      throw CoordinatorError.badInput(
        "\(jobPath): \(change) since the job was started; restore it or start another job")
    }
    let artifacts = try ArtifactStore(directory: directory.artifactsPath, durability: .durable)
    let check = try ResultCheck(store.results(), in: artifacts, linears: inputs.plan.linears.count)
    try store.remove(check.lost.map(\.result))
    try removeStrays(artifacts, keeping: check.kept)
    let job = PreparedJob(
      directory: directory, store: store, artifacts: artifacts, record: record, purpose: options, inputs: inputs,
      results: check.kept, losses: check.lost.map(\.reason), isNew: false)
    return (job, options)
  }

  /// Why a launch is refused where there is a job already.
  private static func refusal(
    _ options: JobOptions, _ inputs: JobInputs, _ record: JobRecord, _ jobPath: String
  ) throws -> CoordinatorError {
    let before = try JobOptions(json: record.options, path: jobPath)
    try before.checkMethod(jobPath)
    let changes = inputs.differences(from: record, options) + options.differences(from: before)
    if changes.isEmpty {
      return .usage("\(jobPath): holds this job already; go on with it: crvq-coord resume --job \(jobPath)")
    }
    return .badInput("\(jobPath): holds another job: \(changes.joined(separator: "; ")); choose another --job")
  }
}
