import GRDB

/// The tables of `job.sqlite`.
enum JobSchema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      // One row: what the job is.
      try database.create(table: "job") { table in
        table.primaryKey("id", .integer).check { $0 == 1 }
        table.column("name", .text).notNull()
        table.column("options", .text).notNull()
        table.column("model_digest", .text).notNull()
        table.column("tokens_digest", .text).notNull()
        table.column("next_lease", .integer).notNull()
        table.column("endpoint", .text)
        table.column("seconds", .double).notNull().defaults(to: 0)
        table.column("state", .text).notNull()
      }
      // A row for each result. `part` is the linear of a fit, the step of an update, the window of an evaluation, else 0.
      try database.create(table: "result") { table in
        table.column("kind", .text).notNull()
        table.column("block", .integer).notNull()
        table.column("part", .integer).notNull()
        table.column("digest", .text)
        table.column("size", .integer)
        table.column("record", .text).notNull()
        table.column("worker", .text).notNull()
        table.column("seconds", .double).notNull()
        table.primaryKey(["kind", "block", "part"])
      }
      try database.create(table: "worker") { table in
        table.primaryKey("id", .text)
        table.column("name", .text).notNull()
        table.column("host", .text).notNull()
        table.column("pid", .integer).notNull()
        table.column("threads", .integer).notNull()
        table.column("slots", .integer).notNull()
        table.column("cpu", .text).notNull()
        table.column("joined_at", .datetime).notNull()
        table.column("left_at", .datetime)
      }
      try database.create(table: "attempt") { table in
        table.primaryKey("lease", .integer)
        table.column("kind", .text).notNull()
        table.column("block", .integer).notNull()
        table.column("part", .integer).notNull()
        table.column("worker", .text).notNull()
        table.column("started_at", .datetime).notNull()
        table.column("ended_at", .datetime)
        table.column("outcome", .text)
      }
    }
    migrator.registerMigration("2") { database in
      // What is kept from doing harm, for people. A new coordinator starts without.
      try database.create(table: "quarantine") { table in
        table.column("kind", .text).notNull()
        table.column("block", .integer).notNull()
        table.column("part", .integer).notNull()
        table.column("workers", .text).notNull()
        table.primaryKey(["kind", "block", "part"])
      }
      try database.alter(table: "worker") { table in table.add(column: "set_aside_until", .datetime) }
    }
    migrator.registerMigration("row checks") { database in
      // SQLite finds damage to its own structures, not to what it stores. nil in rows of earlier versions.
      for name in ["job", "result"] {
        try database.alter(table: name) { table in table.add(column: "row_check", .text) }
      }
    }
    migrator.registerMigration("pace") { database in
      // One row: how far and how fast the job was when its coordinator noted it last.
      try database.create(table: "pace") { table in
        table.primaryKey("id", .integer).check { $0 == 1 }
        table.column("pace", .text).notNull()
      }
    }
    migrator.registerMigration("attempts of processes") { database in
      // A process that was restarted has the name of the one before it. nil in rows of earlier versions, which have all ended.
      try database.alter(table: "attempt") { table in table.add(column: "worker_id", .text) }
    }
    return migrator
  }
}
