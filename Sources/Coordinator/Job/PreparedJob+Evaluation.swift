import Transformer

// Jobs that measure perplexity.
extension PreparedJob {
  /// Starts an evaluation in a temporary directory, which the caller removes.
  ///
  /// - Parameter parent: where the directory is made; nil for the system's place for temporary files.
  /// - Throws: ``CoordinatorError``, ``CheckpointError``, ``TransformerError``, ``CRVQError``; nothing is left behind.
  public static func create(_ options: EvaluationOptions, in parent: String?) throws -> PreparedJob {
    let inputs = try JobInputs(options)
    let directory = try JobDirectory.temporary("crvq-evaluate", in: parent)
    do {
      return try PreparedJob(starting: options, inputs, in: directory, JobStore(path: directory.databasePath))
    } catch {
      directory.remove()
      throw error
    }
  }

  /// The perplexity over all windows, when the job is done.
  ///
  /// - Throws: ``CoordinatorError`` if a window's loss is not there.
  public func perplexity() throws -> Perplexity {
    let losses = try store.results().filter { $0.kind == .evaluate }
    guard losses.map(\.part) == Array(0..<plan.evaluationCount) else {
      throw CoordinatorError.internal("\(losses.count) of \(plan.evaluationCount) windows are in the job database")
    }
    return Perplexity(try losses.map { try WindowLoss(record: $0.record) })
  }
}
