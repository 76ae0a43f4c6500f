import Foundation
import GRDB
import JobGraph
import Messaging

/// The job's memory: one SQLite database in WAL mode, every commit durable before it returns.
///
/// Only what has to survive is here: options and digests, stored results, and a history of attempts for people.
package final class JobStore: Sendable {
  private let database: DatabaseQueue
  private let path: String
  /// The file that was opened.
  private let identity: FileIdentity?
  /// Pages of the write-ahead log after which a commit moves them into the file. By SQLite's own number, 1,000, all results of most
  /// jobs would be in the log alone as long as the job runs, to be lost with it.
  private static let logPagesMax = 64

  /// Opens or makes the database.
  ///
  /// - Throws: ``CoordinatorError`` if it is damaged, of another version, or cannot be written.
  package init(path: String, readOnly: Bool = false) throws {
    self.path = path
    try Self.requireFile(path)
    var configuration = Configuration()
    configuration.readonly = readOnly
    configuration.busyMode = .timeout(5)
    if !readOnly {
      configuration.prepareDatabase { database in
        // Not as the library has it: its journal mode WAL comes with NORMAL, by which a power failure may take the last commits.
        try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        try database.execute(sql: "PRAGMA wal_autocheckpoint = \(Self.logPagesMax)")
      }
    }
    do {
      database = try Self.open(path, configuration)
      if !readOnly { try JobSchema.migrator.migrate(database) }
    } catch {
      throw Self.failure(path, error)
    }
    identity = FileIdentity(path: path)
  }

  /// SQLite would wait for somebody who writes into a pipe.
  private static func requireFile(_ path: String) throws(CoordinatorError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw .badInput("\(path): no job database, expected a regular file; remove it, or choose another --job")
    }
  }

  /// Whether the file was removed, moved or replaced since it was opened: nobody will find what is stored now.
  package var isGone: Bool { identity?.isGone(from: path) ?? true }

  /// In WAL mode even a reader writes beside the database, which whoever may only look at a job cannot. Of one that rests nothing is
  /// needed but the file.
  private static func open(_ path: String, _ configuration: Configuration) throws -> DatabaseQueue {
    do {
      return try DatabaseQueue(path: path, configuration: configuration)
    } catch {
      guard configuration.readonly, isAtRest(path),
        let name = path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed),
        let queue = try? DatabaseQueue(path: "file:\(name)?immutable=1", configuration: configuration)
      else { throw error }
      return queue
    }
  }

  /// Whether the file has all that was committed, and no coordinator is about to change it.
  private static func isAtRest(_ path: String) -> Bool {
    var status = stat()
    let hasLog = stat("\(path)-wal", &status) == 0 && status.st_size > 0
    return !hasLog && !JobDirectory.isHeld(Directory.parent(of: path))
  }

  private static func failure(_ path: String, _ error: any Error) -> CoordinatorError {
    if let error = error as? CoordinatorError { return error }
    guard let error = error as? DatabaseError else {
      // Everything else is about values that no coordinator wrote.
      return damage(path, "\(error)")
    }
    let text = error.message ?? "SQLite error \(error.resultCode.rawValue)"
    switch error.resultCode {
    // An error in SQL that does not change: the tables are not those that were made.
    case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR:
      return damage(path, text)
    case .SQLITE_FULL: return .io("\(path): no space left; free some and resume")
    case .SQLITE_CANTOPEN, .SQLITE_IOERR:
      // SQLite does not say why, and in some places not even of a full disk that it is one.
      return .io("\(path): \(text); see that its disk has space and can be written to, then resume")
    default: return .io("\(path): \(text)")
    }
  }

  static func damage(_ path: String, _ what: String) -> CoordinatorError {
    .badInput("\(path): the job database is damaged (\(what)); restore it, or start again with another --job")
  }

  func damage(_ what: String) -> CoordinatorError { Self.damage(path, what) }

  /// Looks at every page and index. Before a job goes on, so that damage is known before anything is written.
  ///
  /// - Throws: ``CoordinatorError`` if something is not as SQLite left it.
  package func checkIntegrity() throws {
    let fault = try read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") }
    if let fault, fault != "ok" { throw damage(fault) }
  }

  /// Moves what is in the write-ahead log into the file, which then is the whole job, to be copied or put where nothing can be written.
  ///
  /// SQLite does so by itself only when the last connection closes in good order. What fails here it does at the next opening.
  package func foldLog() {
    _ = try? database.writeWithoutTransaction { try $0.checkpoint(.truncate) }
  }

  private var directory: String { Directory.parent(of: path) }

  /// The job's row, where there has to be one.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput` for a job that was never started, or is lost.
  package func requireJob() throws -> JobRecord {
    if let record = try job() { return record }
    try requireNoResults()
    throw CoordinatorError.badInput("\(directory): the job was never started; launch it again")
  }

  /// Checks of a database without a job that none was lost.
  ///
  /// - Throws: ``CoordinatorError`` `.badInput`.
  func requireNoResults() throws {
    if JobDirectory.hasArtifacts(directory) { throw damage("it has no job, and there are results of one") }
  }

  func write<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
    do { return try database.write(body) } catch { throw Self.failure(path, error) }
  }

  func read<Result: Sendable>(_ body: @Sendable (Database) throws -> Result) throws -> Result {
    do { return try database.read(body) } catch { throw Self.failure(path, error) }
  }
}
