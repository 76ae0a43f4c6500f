import Foundation
import GRDB

/// What the job is: the one row of the table `job`.
public struct JobRecord: Codable, Sendable, Equatable, FetchableRecord, PersistableRecord {
  public static let databaseTableName = "job"

  public enum State: String, Codable, Sendable {
    case running
    case finished
    case failed
  }

  var id = 1
  /// Random, new with each job: workers keep the caches of different jobs apart by it.
  public var name: String
  /// ``JobOptions`` as JSON.
  public var options: String
  public var modelDigest: String
  public var tokensDigest: String
  /// Above every lease given so far, with room for those of the running coordinator.
  public var nextLease: Int64
  /// Where the running coordinator listens.
  public var endpoint: String?
  /// Wall time of all coordinators so far.
  public var seconds: Double
  public var state: State

  enum CodingKeys: String, CodingKey {
    case id, name, options
    case modelDigest = "model_digest"
    case tokensDigest = "tokens_digest"
    case nextLease = "next_lease"
    case endpoint, seconds, state
  }
}

extension JobStore {
  public func job() throws -> JobRecord? { try read { try JobRecord.fetchOne($0) } }

  /// Writes a new job's row.
  public func create(_ job: JobRecord) throws { try write { try job.insert($0) } }

  /// Changes the job's row.
  @discardableResult
  public func updateJob(_ change: @Sendable (inout JobRecord) -> Void) throws -> JobRecord? {
    try write { database in
      guard var job = try JobRecord.fetchOne(database) else { return nil }
      change(&job)
      try job.update(database)
      return job
    }
  }
}
