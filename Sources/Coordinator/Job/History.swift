import Foundation
import GRDB
import JobGraph

/// One thing that happened, for `status`, reports and people. The job does not depend on it.
package enum HistoryEntry: Sendable {
  case joined(WorkerDescription, at: Date = Date())
  case left(WorkerID, at: Date = Date())
  case started(TaskID, Lease, on: WorkerID, named: String, at: Date = Date())
  case ended(Lease, AttemptOutcome, reason: String? = nil, at: Date = Date())
  case quarantined(TaskID, workers: [String])
  case readmitted(TaskID)
  case setAside(WorkerID, until: Date)
  case pace(JobPace)
}

extension JobStore {
  /// Writes entries in one transaction.
  package func record(_ entries: [HistoryEntry]) throws {
    if entries.isEmpty { return }
    try write { database in for entry in entries { try Self.write(entry, database) } }
  }

  private static func write(_ entry: HistoryEntry, _ database: Database) throws {
    switch entry {
    case .joined(let worker, let time):
      try database.execute(
        sql: """
          INSERT OR REPLACE INTO worker (id, name, host, pid, threads, slots, cpu, joined_at)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          worker.id.description, worker.name, worker.host, worker.pid, worker.threads, worker.slots, worker.cpu, time,
        ])
    case .left(let worker, let time):
      try database.execute(
        sql: "UPDATE worker SET left_at = ? WHERE id = ?", arguments: [time, worker.description])
      // A result that still comes is dropped.
      try database.execute(
        sql: """
          UPDATE attempt SET ended_at = ?, outcome = ? WHERE ended_at IS NULL AND worker_id = ?
          """, arguments: [time, AttemptOutcome.lost.rawValue, worker.description])
    case .started(let task, let lease, let worker, let name, let time):
      try database.execute(
        sql: """
          INSERT OR REPLACE INTO attempt (lease, kind, block, part, worker, worker_id, started_at)
          VALUES (?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          Int64(lease.number), task.kind.rawValue, task.row.block, task.row.part, name, worker.description, time,
        ])
    case .ended(let lease, let outcome, let reason, let time):
      try database.execute(
        sql: "UPDATE attempt SET ended_at = ?, outcome = ? WHERE lease = ? AND ended_at IS NULL",
        arguments: [time, outcome.account(reason: reason), Int64(lease.number)])
    case .quarantined(let task, let workers):
      try database.execute(
        sql: "INSERT OR REPLACE INTO quarantine (kind, block, part, workers) VALUES (?, ?, ?, ?)",
        arguments: [task.kind.rawValue, task.row.block, task.row.part, workers.joined(separator: ", ")])
    case .readmitted(let task):
      try database.execute(
        sql: "DELETE FROM quarantine WHERE kind = ? AND block = ? AND part = ?",
        arguments: [task.kind.rawValue, task.row.block, task.row.part])
    case .setAside(let worker, let time):
      try database.execute(
        sql: "UPDATE worker SET set_aside_until = ? WHERE id = ?", arguments: [time, worker.description])
    case .pace(let pace):
      try database.execute(
        sql: "INSERT OR REPLACE INTO pace (id, pace) VALUES (1, ?)", arguments: [JSONForm.record(pace)])
    }
  }

  /// Attempts by kind and outcome, or "running".
  package func attemptCounts() throws -> [String: [String: Int]] {
    try read { database in
      var counts: [String: [String: Int]] = [:]
      let rows = try Row.fetchAll(
        database, sql: "SELECT kind, COALESCE(outcome, 'running') AS outcome, COUNT(*) AS n FROM attempt GROUP BY 1, 2")
      for row in rows {
        let account: String = row["outcome"]
        // What no outcome of this version says is shown as it is.
        let outcome = AttemptOutcome(account: account)?.rawValue ?? account
        counts[row["kind"], default: [:]][outcome, default: 0] += row["n"] as Int
      }
      return counts
    }
  }

  /// What the coordinator before this one had in hand means nothing any more, and every task is tried again.
  package func closeHistory(at time: Date = Date()) throws {
    try write { database in
      try database.execute(sql: "DELETE FROM quarantine")
      try database.execute(sql: "UPDATE worker SET left_at = ? WHERE left_at IS NULL", arguments: [time])
      try database.execute(
        sql: "UPDATE attempt SET ended_at = ?, outcome = ? WHERE ended_at IS NULL",
        arguments: [time, AttemptOutcome.abandoned.rawValue])
    }
  }

  /// Tasks that are given out no more, and the names of the workers that were lost with them.
  package func quarantine() throws -> [(task: String, workers: String)] {
    try read { database in
      // A job of an earlier version that nobody has resumed yet.
      guard try database.tableExists("quarantine") else { return [] }
      return try Row.fetchAll(
        database,
        sql: "SELECT kind || ' ' || block || '/' || part AS task, workers FROM quarantine ORDER BY block, kind, part"
      ).map { ($0["task"], $0["workers"]) }
    }
  }

  /// Names of the workers that are part of the job now and set aside.
  package func workersSetAside() throws -> Set<String> {
    try read { database in
      guard try database.columns(in: "worker").contains(where: { $0.name == "set_aside_until" }) else { return [] }
      return try String.fetchSet(
        database, sql: "SELECT name FROM worker WHERE left_at IS NULL AND set_aside_until > ?", arguments: [Date()])
    }
  }

  /// A worker that is, or was, part of the job.
  package struct KnownWorker: Sendable {
    package let name: String
    package let host: String
    package let threads: Int
    /// What it has in hand.
    package let tasks: [String]
    /// Tasks that it has done, in all and in the last minute.
    package let done: Int
    package let doneOfLate: Int
  }

  /// Workers by name: those that are part of the job now, or all that have been.
  package func workers(activeOnly: Bool, at time: Date = Date()) throws -> [KnownWorker] {
    // Of a name there may be several processes, one after another: they are one here.
    let workers =
      activeOnly
      ? "SELECT id, name, host, threads FROM worker WHERE left_at IS NULL"
      : "SELECT name AS id, name, host, threads, MAX(joined_at) FROM worker GROUP BY name"
    return try read { database in
      try Row.fetchAll(
        database,
        sql: """
          SELECT w.name, w.host, w.threads,
            GROUP_CONCAT(CASE WHEN a.ended_at IS NULL THEN a.kind || ' ' || a.block || '/' || a.part END, ', ') AS tasks,
            COALESCE(SUM(a.outcome = :done), 0) AS done,
            COALESCE(SUM(a.outcome = :done AND a.ended_at > :late), 0) AS done_of_late
          FROM (\(workers)) w LEFT JOIN attempt a ON a.worker = w.name
          GROUP BY w.id ORDER BY w.name
          """, arguments: ["done": AttemptOutcome.done.rawValue, "late": time.addingTimeInterval(-60)]
      ).map { row in
        let tasks: String? = row["tasks"]
        return KnownWorker(
          name: row["name"], host: row["host"], threads: row["threads"],
          tasks: tasks.map { $0.components(separatedBy: ", ") } ?? [], done: row["done"],
          doneOfLate: row["done_of_late"])
      }
    }
  }

  /// Attempts at tasks that had been given out before.
  package func retries() throws -> Int {
    try read { database in
      try Int.fetchOne(
        database,
        sql: """
          SELECT (SELECT COUNT(*) FROM attempt)
            - (SELECT COUNT(*) FROM (SELECT DISTINCT kind, block, part FROM attempt))
          """
      ) ?? 0
    }
  }

  /// How far and how fast the job was when its coordinator noted it last; nil if none has.
  func pace() throws -> JobPace? {
    try read { database in
      // A job of an earlier version that nobody has resumed yet.
      guard try database.tableExists("pace"), let text = try String.fetchOne(database, sql: "SELECT pace FROM pace")
      else { return nil }
      return try? JSONForm.value(JobPace.self, ofRecord: text)
    }
  }
}
