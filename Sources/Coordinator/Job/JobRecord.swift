import Foundation
import GRDB

/// What the job is: the one row of the table `job`.
package struct JobRecord: Codable, Sendable, Equatable, FetchableRecord, PersistableRecord {
  package static let databaseTableName = "job"

  package enum State: String, Codable, Sendable {
    case running
    case finished
    case failed
  }

  var id = 1
  /// Random, new with each job: workers keep the caches of different jobs apart by it.
  package var name: String
  /// ``JobOptions`` or ``EvaluationOptions`` as JSON.
  package var options: String
  package var modelDigest: String
  package var tokensDigest: String
  /// Above every lease given so far, with room for those of the running coordinator.
  package var nextLease: Int64
  /// Where the running coordinator listens.
  package var endpoint: String?
  /// Wall time of all coordinators so far.
  package var seconds: Double
  package var state: State
  /// A ``RowCheck`` of all that; nil if an earlier version stored it.
  package private(set) var rowCheck: String?

  enum CodingKeys: String, CodingKey {
    case id, name, options
    case modelDigest = "model_digest"
    case tokensDigest = "tokens_digest"
    case nextLease = "next_lease"
    case endpoint, seconds, state
    case rowCheck = "row_check"
  }

  /// The first lease of a new job: a worker's late result of another job then means nothing in this one.
  package static func randomFirstLease() -> Int64 { .random(in: 1...1 << 62) }

  package init(
    name: String, options: String, modelDigest: String, tokensDigest: String,
    nextLease: Int64 = Self.randomFirstLease(),
    state: State = .running
  ) {
    self.name = name
    self.options = options
    self.modelDigest = modelDigest
    self.tokensDigest = tokensDigest
    self.nextLease = nextLease
    self.state = state
    seconds = 0
  }

  private var check: String {
    RowCheck.of([name, options, modelDigest, tokensDigest, nextLease, endpoint, seconds, state.rawValue])
  }

  /// Whether the row is as it was written.
  var isIntact: Bool { rowCheck == nil || rowCheck == check }

  /// The row as it is to be written.
  fileprivate var checked: JobRecord {
    var record = self
    record.rowCheck = check
    return record
  }
}

extension JobStore {
  /// The job's row; nil if the coordinator that was to write it died before.
  ///
  /// - Throws: ``CoordinatorError`` if it is not as it was written.
  package func job() throws -> JobRecord? {
    let job: JobRecord? = try read { database in
      guard try database.tableExists(JobRecord.databaseTableName) else { return nil }
      return try JobRecord.fetchOne(database)
    }
    if let job, !job.isIntact { throw damage("the row of the job has changed") }
    return job
  }

  /// Writes a new job's row.
  package func create(_ job: JobRecord) throws { try write { try job.checked.insert($0) } }

  /// Changes the job's row.
  @discardableResult
  package func updateJob(_ change: @Sendable (inout JobRecord) -> Void) throws -> JobRecord? {
    try write { database in
      guard var job = try JobRecord.fetchOne(database) else { return nil }
      change(&job)
      try job.checked.update(database)
      return job
    }
  }
}
