import GRDB

// The results of a job that survive it.
extension JobStore {
  package func results() throws -> [StoredResult] {
    try read { try StoredResult.order(Column("kind"), Column("block"), Column("part")).fetchAll($0) }
  }

  /// The fits of one block, in the model's order.
  func fits(ofBlock block: Int) throws -> [StoredResult] {
    try read {
      try StoredResult.filter(Column("kind") == StoredResult.Kind.fit.rawValue && Column("block") == block)
        .order(Column("part")).fetchAll($0)
    }
  }

  /// Makes a result durable. Storing the same result again changes nothing.
  package func store(_ result: StoredResult) throws { try write { try result.upsert($0) } }

  /// Forgets results whose artifacts are gone.
  package func remove(_ results: [StoredResult]) throws {
    try write { database in for result in results { try result.delete(database) } }
  }
}
