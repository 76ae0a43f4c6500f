import Foundation
import GRDB
import JobGraph

/// The job's memory: one SQLite database in WAL mode, every commit durable before it returns.
///
/// Only what has to survive is here: options and digests, stored results, and a history of attempts for people.
public final class JobStore: Sendable {
  private let database: DatabaseQueue
  private let path: String

  /// The layout of the tables below.
  static let formatVersion = 1

  /// Opens or makes the database.
  ///
  /// - Throws: ``CoordinatorError`` if it is damaged, of another version, or cannot be written.
  public init(path: String, readOnly: Bool = false) throws {
    self.path = path
    var configuration = Configuration()
    configuration.journalMode = .wal
    configuration.readonly = readOnly
    configuration.busyMode = .timeout(5)
    configuration.prepareDatabase { database in
      // WAL's default of NORMAL may lose the last commits when the power fails.
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      if !readOnly { try JobSchema.migrator.migrate(database) }
    } catch {
      throw Self.failure(path, error)
    }
  }

  private static func failure(_ path: String, _ error: any Error) -> CoordinatorError {
    guard let error = error as? DatabaseError else { return .io("\(path): \(error)") }
    let text = error.message ?? "SQLite error \(error.resultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      return .badInput("\(path): the job database is damaged (\(text)); start again with another --job")
    case .SQLITE_FULL: return .io("\(path): no space left; free some and resume")
    default: return .io("\(path): \(text)")
    }
  }

  func write<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
    do { return try database.write(body) } catch { throw Self.failure(path, error) }
  }

  func read<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
    do { return try database.read(body) } catch { throw Self.failure(path, error) }
  }
}
